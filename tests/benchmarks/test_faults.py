"""Parts of the fault benchmark that have to be right for its numbers to mean something."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.faults.account import damaged_files, newest_samples, samples_lost
from benchmarks.faults.injections import FAULTS, TooLate
from benchmarks.faults.main import by_fault
from benchmarks.faults.processes import alive, end_all, is_rank, of_hosts, send, trainers
from benchmarks.faults.proxy import SlowProxy
from benchmarks.faults.ranks import FAULTS as RANK_FAULTS
from benchmarks.faults.ranks import Training as RankTraining
from benchmarks.faults.ranks import plan_faults, problems, table
from benchmarks.faults.scene import SAMPLES_BETWEEN_CHECKPOINTS, Scene
from parc_core.storage.store import Store
from parc_core.system.files import sha256_file
from parc_core.training.checkpoint import checkpoint_path


def events(path, *pairs):
    lines = [json.dumps({"event": event, "samples": samples}) for event, samples in pairs]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_samples_between_the_last_line_and_the_next_start_are_lost(tmp_path):
    path = events(
        tmp_path / "progress.jsonl",
        *(("start", 0), ("output", 100), ("output", 200), ("start", 150), ("output", 300), ("start", 300)),
    )
    assert samples_lost(path) == (50, 3)
    assert newest_samples(path) == 300


def test_a_line_torn_by_a_kill_is_passed_over(tmp_path):
    path = events(tmp_path / "progress.jsonl", ("start", 0), ("output", 100))
    with open(path, "a") as file:
        file.write('{"event": "outp\n')
        file.write(json.dumps({"event": "start", "samples": 40}) + "\n")
    assert samples_lost(path) == (60, 2)


def test_what_another_machine_trains_again_is_lost(tmp_path):
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(
        '{"event": "start", "samples": 0, "time": 1}\n{"event": "output", "samples": 90, "time": 2}\n'
    )
    second.write_text('{"event": "start", "samples": 60, "time": 3}\n')
    assert samples_lost(second, first) == (30, 2)


def sleeping(*words, **env):
    """A process that does nothing, with these words in its command line, as soon as /proc has them: some time after
    Popen has returned."""
    command = [sys.executable, "-c", "import time; time.sleep(60)", *words]
    process = subprocess.Popen(command, env={**os.environ, **env})
    deadline = time.monotonic() + 30
    while not Path(f"/proc/{process.pid}/environ").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_processes_of_a_machine_are_found_by_their_work_folder(tmp_path):
    here = sleeping("prefect.engine", PARC_WORK=str(tmp_path / "first" / "work"))
    other = sleeping("prefect.engine", PARC_WORK=f"{tmp_path}_other/work")
    try:
        assert {pid: words[-1] for pid, words in of_hosts(tmp_path).items()} == {here.pid: "prefect.engine"}
    finally:
        for left in (here, other):
            left.kill()
            left.wait()
    assert of_hosts(tmp_path) == {}


def test_altered_and_vanished_files_are_found(tmp_path):
    store = Store(tmp_path)
    refs = [store.put_bytes(text, f"files/{text.decode()}") for text in (b"one", b"two", b"three")]
    store.put_json({"files": refs}, "manifest.json")
    assert damaged_files(store) == []
    (tmp_path / "files/one").write_bytes(b"on")
    (tmp_path / "files/two").unlink()
    assert damaged_files(store) == ["files/one", "files/two"]


class Training:
    """A scene whose flow and trainer are processes that sleep; a finished training lies in the store beside it."""

    def __init__(self, folder):
        self.work, self.spoiled, self._store, self.key = (
            folder / "work",
            set(),
            Store(folder / "store"),
            "now",
        )
        self.log = ""
        words = ["parc_core.train", str(self.work)]
        sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
        self.trainer, self.flow = subprocess.Popen([*sleep, *words]), subprocess.Popen(sleep)
        for key, samples in (("before", 9000), ("now", 100)):
            self.mirror(key, samples)

    def mirror(self, key, samples):
        (self.work / "runs" / key / "checkpoints").mkdir(parents=True, exist_ok=True)
        name = f"runs/{key}/state/{samples}-00/checkpoint.pt"
        self._store.put_bytes(b"x" * 9000, name)
        entry = {"samples": samples, "files": {"checkpoint.pt": {"key": name}}}
        self._store.put_json({"format": 1, "checkpoints": [entry]}, f"runs/{key}/checkpoints.json")

    def running(self):
        return self.key if self.flow.poll() is None else None

    def store(self):
        return self._store

    def log_mark(self):
        return len(self.log)

    def says(self, mark, *texts):
        return any(text in self.log[mark:] for text in texts)

    def end(self):
        for process in (self.trainer, self.flow):
            process.kill()
            process.wait()


@pytest.fixture
def training(tmp_path):
    scene = Training(tmp_path)
    yield scene
    scene.end()


def test_a_damaged_stored_checkpoint_is_that_of_the_running_training(training):
    felt = FAULTS["bad stored checkpoint"].harm(training, random.Random(0))
    assert training.spoiled == {"runs/now/state/100-00/checkpoint.pt"}
    assert len(training.store().read_bytes("runs/before/state/9000-00/checkpoint.pt")) == 9000
    assert len(training.store().read_bytes("runs/now/state/100-00/checkpoint.pt")) < 9000
    assert not felt()
    training.log += "note: skipped a checkpoint of the store: damaged"
    assert felt()


def test_a_damaged_checkpoint_on_disk_is_felt_where_the_training_goes_back(training):
    run = training.work / "runs" / "now"
    for key, samples in (("before", 9000), ("now", 100), ("now", 200)):
        path = checkpoint_path(training.work / "runs" / key / "checkpoints", samples)
        path.write_bytes(b"x" * 9000)
        path.with_name(path.name + ".sha256").write_text(f"{sha256_file(path)}  {path.name}\n")
    events(run / "progress.jsonl", ("start", 0), ("output", 200))
    training.trainer.kill()
    training.trainer.wait()
    felt = FAULTS["bad checkpoint"].harm(training, random.Random(0))
    assert [path for path in training.work.rglob("*.pt") if path.read_bytes() != b"x" * 9000] == [
        checkpoint_path(run / "checkpoints", 200)
    ]
    assert not felt()
    events(run / "progress.jsonl", ("start", 0), ("output", 200), ("start", 200))
    assert not felt()
    events(run / "progress.jsonl", ("start", 0), ("output", 200), ("start", 100))
    assert felt()


@pytest.mark.parametrize("name", [name for name in FAULTS])
def test_a_training_that_is_over_takes_no_fault(training, name):
    training.flow.kill()
    training.flow.wait()
    with pytest.raises(TooLate):
        FAULTS[name].harm(training, random.Random(0))
    assert training.spoiled == set()


def test_a_kill_is_felt(training):
    assert FAULTS["kill trainer"].harm(training, random.Random(0))()
    assert training.trainer.wait(10) == -signal.SIGKILL
    assert FAULTS["kill flow"].harm(training, random.Random(0))()


def test_waiting_for_progress_lasts_while_something_happens(tmp_path, monkeypatch):
    scene = object.__new__(Scene)
    scene.flow = SimpleNamespace(poll=lambda: None)
    marks = iter(range(6))
    scene.log_mark = lambda: next(marks, 6)
    scene._newest = lambda: 0
    began = time.monotonic()
    monkeypatch.setattr("benchmarks.faults.scene.time.sleep", lambda s: time_sleep(0.2))
    assert not scene.wait_for_progress(10, 0.5)
    assert time.monotonic() - began > 1.0  # each line of the log counted


time_sleep = time.sleep


def test_each_kind_of_fault_has_its_line():
    rows = [
        {
            "faults": ["kill flow", "kill flow"],
            "finished": True,
            "recoveries": [
                {"fault": "kill flow", "seconds": 4.0, "felt": True},
                {"fault": "kill flow", "seconds": 8.0, "felt": True},
            ],
        },
        {
            "faults": ["full disk"],
            "finished": False,
            "recoveries": [{"fault": "full disk", "seconds": None, "felt": False}],
        },
    ]
    found = [
        (line["fault"], line["times"], line["felt"], line["finished"], line["recovery_seconds"])
        for line in by_fault(rows)
    ]
    assert found == [("kill flow", 2, 2, 2, 6.0), ("full disk", 1, 0, 0, None)]


@pytest.fixture
def echo():
    """Port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    while data := connection.recv(4096):
                        connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_the_proxy_passes_all_bytes_and_is_slow_when_told(echo):
    proxy = SlowProxy(("127.0.0.1", echo))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(b"abc")
        assert client.recv(10) == b"abc"
        proxy.slow(delay=0.3)
        began = time.monotonic()
        client.sendall(b"def")
        assert client.recv(10) == b"def"
        assert time.monotonic() - began >= 0.6  # there and back
    proxy.close()


def test_a_connection_to_a_server_that_is_down_is_closed():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = SlowProxy(("127.0.0.1", port))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        assert client.recv(10) == b""
    proxy.close()


def test_trainers_are_found_by_their_folder_and_ended(tmp_path):
    process = sleeping("parc_core.train", "--arg_file", str(tmp_path / "train_args.txt"))
    other = sleeping("parc_core.train", "--arg_file", "elsewhere")
    try:
        assert trainers(tmp_path) == [process.pid]
        end_all([process.pid])
        assert process.wait(5) == -signal.SIGKILL
        assert trainers(tmp_path) == [] and not send(process.pid, signal.SIGTERM)
    finally:
        for left in (process, other):
            left.kill()
            left.wait()


def test_ranks_are_told_from_what_started_them(tmp_path):
    words = [sys.executable, "-c", "import time; time.sleep(60)", "parc_core.train", str(tmp_path / "args")]
    launcher = subprocess.Popen(words)
    rank = subprocess.Popen(words, env={**os.environ, "RANK": "1"})
    try:
        training = object.__new__(RankTraining)
        training.folder = tmp_path
        deadline = time.monotonic() + 20  # a program's words can be read a moment after its start
        while sum(map(len, training.family().values())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert training.family() == {"launcher": [launcher.pid], "rank": [rank.pid]}
        assert alive(rank.pid)
    finally:
        for process in (launcher, rank):
            process.kill()
            process.wait()
    assert not alive(rank.pid) and not is_rank(rank.pid)


def test_every_fault_and_every_rank_gets_its_turn():
    plan = plan_faults(33, 2, random.Random(3))
    assert {(how, whom) for how, whom, _ in plan} == set(RANK_FAULTS)
    assert all(plan.count(what) == 3 for what in plan)
    assert {rank for _, whom, rank in plan if whom == "rank"} == {0, 1}
    assert plan != plan_faults(33, 2, random.Random(4))


def fault(how="kill", whom="rank", gone=3.0, lost=0, goes_on=False):
    return {
        "goes_on": goes_on,
        "how": how,
        "whom": whom,
        "rank": 1,
        "gone_after": gone,
        "trains_after": 9.0,
        "samples_lost": lost,
    }


def test_what_must_not_be_is_a_line():
    done = {"finished": True, "damaged": [], "left": 0}
    good = [
        fault(lost=SAMPLES_BETWEEN_CHECKPOINTS),
        fault("stop", "launcher", None, goes_on=True),
        fault(gone=30.0),
    ]
    assert problems(good, [done]) == []
    bad = [
        fault(lost=SAMPLES_BETWEEN_CHECKPOINTS + 1),
        fault(gone=31.0),
        fault("terminate", "supervisor", gone=None),
        fault("stop", "launcher", gone=None),
    ]
    ends = [{**done, "finished": False}, {**done, "damaged": ["a.pt"]}, {**done, "left": 2}]
    found = problems(bad, [done, *ends])
    assert [line.rpartition(": ")[2] for line in found] == [
        "more than a checkpoint's interval lost",
        *["processes left after 30 s"] * 3,
        "training 1 did not finish",
        "a.pt",
        "2 processes left at its end",
    ]
    assert table(good + bad).row_count == 3
