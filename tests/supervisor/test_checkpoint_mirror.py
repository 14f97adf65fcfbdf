"""Checkpoints to the store and back, on two folders that play two machines."""

from __future__ import annotations

import threading
import time

import pytest

from parc_core.errors import StoreUnreachable
from parc_core.storage.store import Store
from parc_core.supervisor.checkpoint_mirror import CheckpointMirror, newest_good
from parc_core.training.checkpoint import list_checkpoints, load_newest, save_checkpoint

KEY = "abc"


@pytest.fixture
def store(tmp_path):
    return Store(f"memory://{tmp_path.name}")


def checkpoint(run_dir, samples):
    (run_dir / "log.txt").parent.mkdir(parents=True, exist_ok=True)
    (run_dir / "log.txt").write_text(f"Samples\n{samples}\n")
    return save_checkpoint(run_dir / "checkpoints", {"samples": samples}, keep=3)


def pull(store, run_dir):
    notes: list[str] = []
    return CheckpointMirror(store, KEY, run_dir, notes.append).pull(), notes


def samples_of(run_dir):
    found = load_newest(run_dir / "checkpoints", lambda line: None)
    return found and found[1]["samples"]


@pytest.fixture
def sent(store, tmp_path):
    """A store that has checkpoints of 10 and 20 samples of machine `a`."""
    mirror = CheckpointMirror(store, KEY, tmp_path / "a")
    mirror.pull()
    for samples in (5, 10, 20):
        checkpoint(tmp_path / "a", samples)
        mirror.upload()
    return store


def test_another_machine_goes_on_from_the_newest(sent, tmp_path):
    assert pull(sent, tmp_path / "b") == (20, ["resuming from the checkpoint in the store: 20 samples"])
    assert samples_of(tmp_path / "b") == 20
    assert (tmp_path / "b" / "log.txt").read_text() == "Samples\n20\n"
    assert pull(sent, tmp_path / "b") == (None, [])  # it is here


def test_the_store_keeps_two_whose_content_is_there(sent):
    entries = sent.read_json("runs/abc/checkpoints.json")["checkpoints"]
    assert [entry["samples"] for entry in entries] == [20, 10]
    keys = {file["key"] for entry in entries for file in entry["files"].values()}
    assert set(sent.list("runs/abc/state")) == keys


def test_a_damaged_one_is_skipped(sent, tmp_path):
    newest = sent.read_json("runs/abc/checkpoints.json")["checkpoints"][0]
    sent.put_bytes(b"damaged", newest["files"]["checkpoint.pt"]["key"])
    fetched, notes = pull(sent, tmp_path / "b")
    assert fetched == 10
    assert "damaged" in notes[0]
    assert samples_of(tmp_path / "b") == 10


def test_a_newer_one_of_this_machine_stays(sent, tmp_path):
    assert pull(sent, tmp_path / "b")[0] == 20
    checkpoint(tmp_path / "b", 30)
    assert pull(sent, tmp_path / "b")[0] is None
    assert samples_of(tmp_path / "b") == 30


def test_a_damaged_one_of_this_machine_does_not_count(sent, tmp_path):
    pull(sent, tmp_path / "b")
    checkpoint(tmp_path / "b", 30).write_bytes(b"damaged")
    (tmp_path / "b/checkpoints/checkpoint_20.pt").write_bytes(b"damaged")
    assert newest_good(tmp_path / "b" / "checkpoints") is None
    assert pull(sent, tmp_path / "b")[0] == 20


def test_a_folder_with_another_training_is_neither_read_nor_written(sent, tmp_path):
    checkpoint(tmp_path / "c", 99)
    mirror = CheckpointMirror(sent, KEY, tmp_path / "c")
    assert mirror.pull() is None
    mirror.upload()
    assert [samples for samples, _ in list_checkpoints(tmp_path / "c" / "checkpoints")] == [99]
    assert sent.read_json("runs/abc/checkpoints.json")["checkpoints"][0]["samples"] == 20


@pytest.mark.parametrize(
    "pointer",
    [
        b"not JSON",
        b"[]",
        b'{"checkpoints": [5]}',
        b'{"checkpoints": [{"samples": 1, "files": {"checkpoint.pt": {"key": "models/x/1/model.pt", "sha256": "a"}}}]}',
        b'{"checkpoints": [{"samples": "../../x", "files": {}}]}',
    ],
)
def test_a_foreign_pointer_is_not_believed(store, tmp_path, pointer):
    store.put_bytes(pointer, "runs/abc/checkpoints.json")
    store.put_bytes(b"x", "models/x/1/model.pt")
    assert pull(store, tmp_path / "b")[0] is None
    assert list_checkpoints(tmp_path / "b" / "checkpoints") == []


def test_uploads_do_not_hold_up_the_training_and_the_latest_wins(store, tmp_path, monkeypatch):
    mirror = CheckpointMirror(store, KEY, tmp_path / "a")
    mirror.pull()
    go_on = threading.Event()
    put_file = store.put_file
    monkeypatch.setattr(store, "put_file", lambda *args: (go_on.wait(10), put_file(*args))[1])
    mirror.start()
    start = time.monotonic()
    for samples in (10, 20, 30, 40):
        checkpoint(tmp_path / "a", samples)
        mirror.changed()
        time.sleep(0.05)
    assert time.monotonic() - start < 5
    go_on.set()
    mirror.finish(20)
    assert mirror.uploads == 2  # the first, and what was newest when it was through
    assert store.read_json("runs/abc/checkpoints.json")["checkpoints"][0]["samples"] == 40
    assert store.exists("runs/abc/progress.jsonl") is False  # there was none


def test_a_store_that_is_away_costs_nothing_but_the_copy(store, tmp_path, monkeypatch):
    notes: list[str] = []
    mirror = CheckpointMirror(store, KEY, tmp_path / "a", notes.append)
    mirror.pull()
    monkeypatch.setattr("parc_core.supervisor.checkpoint_mirror.RETRY_SECONDS", 0.1)
    away = {"now": True}
    put_file = store.put_file

    def put(*args):
        if away["now"]:
            raise StoreUnreachable("no answer")
        return put_file(*args)

    monkeypatch.setattr(store, "put_file", put)
    mirror.start()
    checkpoint(tmp_path / "a", 10)
    mirror.changed()
    time.sleep(0.5)
    assert mirror.errors >= 1
    assert "no answer" in notes[0]
    away["now"] = False
    time.sleep(0.5)
    assert store.read_json("runs/abc/checkpoints.json")["checkpoints"][0]["samples"] == 10
    mirror.finish(5)


def test_a_training_that_is_not_ours_any_more_is_not_uploaded(store, tmp_path):
    mirror = CheckpointMirror(store, KEY, tmp_path / "a", may_write=lambda: False)
    mirror.pull()
    checkpoint(tmp_path / "a", 10)
    mirror.upload()
    assert store.list("runs") == []
