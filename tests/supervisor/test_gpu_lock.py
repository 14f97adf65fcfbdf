"""One training on a GPU at a time."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from parc_core.supervisor.gpu_lock import device_lock, lock_file


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
    assert notes[0].startswith("waiting for cuda: another training of this machine uses it")
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
