"""One training on a GPU at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from parc_core.config.paths import PROJECT_ROOT
from parc_core.supervisor.gpu_lock import device_lock, lock_file, lock_owner


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


class StopWaiting(Exception):
    pass


def stop():
    raise StopWaiting


def test_the_second_waits_and_says_so():
    notes: list[str] = []
    with device_lock("cuda:0"):
        with pytest.raises(StopWaiting), device_lock("cuda", notes.append, stop):
            pytest.fail("two on one GPU")
        with device_lock("cuda:1", notes.append, stop), device_lock("cpu", notes.append, stop) as none:
            assert none == []
    assert len(notes) == 1
    assert notes[0].startswith("waiting for cuda:0: another training of this machine uses it")
    with device_lock("cuda:0", check=stop):
        pass


def test_a_trainer_that_outlives_its_supervisor_keeps_the_gpu():
    with device_lock("cuda:0") as locks:
        trainer = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=locks)
    with pytest.raises(StopWaiting), device_lock("cuda:0", check=stop):
        pytest.fail("taken though the trainer runs")
    trainer.communicate(b"\n")
    with device_lock("cuda:0", check=stop):
        pass


def test_the_lock_is_of_the_gpu_and_not_of_its_number_here(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-8f2a/../x")
    assert lock_file("cuda:0").name == "parc-tracker-gpu-3.lock"
    assert lock_file("cuda:1").name == "parc-tracker-gpu-GPU-8f2a____x.lock"


def test_several_gpus_are_held_together_and_released_together():
    notes: list[str] = []
    with device_lock("cuda:1", gpus=2, owner="/runs/a") as locks:
        assert len(locks) == 2
        for number, free in enumerate((True, False, False, True)):
            assert (lock_owner(f"cuda:{number}") is None) == free
        assert lock_owner("cuda:2") == "/runs/a"
        with pytest.raises(StopWaiting), device_lock("cuda:0", notes.append, stop, gpus=2):
            pytest.fail("two on one GPU")
        with device_lock("cuda:0", notes.append, stop):  # the one that was free is free again
            pass
    assert [note.partition(" (")[0] for note in notes] == [
        "waiting for cuda:1: another training of this machine uses it, /runs/a"
    ]
    with device_lock("cuda:0", check=stop, gpus=4) as locks:
        assert len(locks) == 4
    with device_lock("cpu", check=stop, gpus=4) as none:
        assert none == []


def test_what_a_lock_says_of_its_owner_is_shown_in_one_line():
    with device_lock("cuda:0"):
        assert lock_owner("cuda:0") == "which does not say its folder"
        lock_file("cuda:0").write_bytes(b"/runs/\xff\x1b[31m\nerror: no\n" + b"x" * 1000)
        owner = lock_owner("cuda:0")
    assert owner.startswith("/runs/\ufffd?[31m?error: no?x") and len(owner) <= 300
    assert lock_owner("cuda:0") is None


def test_the_owner_is_not_written_into_a_file_that_somebody_has_linked_there(tmp_path):
    precious = tmp_path / "thesis.tex"
    precious.write_text("years of work")
    os.link(precious, lock_file("cuda:0"))
    with device_lock("cuda:0", owner="/runs/a") as locks:
        assert len(locks) == 1
    assert precious.read_text() == "years of work"


ROUNDS = 150
TAKER = """
import os, sys, tempfile, time
from parc_core.supervisor.gpu_lock import device_lock

folder, gpus, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tempfile.tempdir = folder
for _ in range(rounds):
    with device_lock("cuda:0", gpus=gpus, poll=0.001):
        ours = [f"{folder}/used-{n}" for n in os.environ["CUDA_VISIBLE_DEVICES"].split(",")[:gpus]]
        for path in ours:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))  # an error where somebody else uses it
        for path in ours:
            os.unlink(path)
"""


def test_trainings_on_overlapping_gpus_in_opposite_order_never_wait_for_each_other(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(tmp_path), str(gpus), str(ROUNDS)],
            env={**env, "CUDA_VISIBLE_DEVICES": visible},
        )
        for visible, gpus in (("0,1,2", 3), ("2,1,0", 2), ("1,0,2", 2))
    ]
    try:
        assert [taker.wait(timeout=120) for taker in takers] == [0, 0, 0]
    finally:
        for taker in takers:
            taker.kill()
    assert sorted(Path(tmp_path).glob("used-*")) == []
