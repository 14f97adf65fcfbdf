"""Writes of which exactly one wins, on a folder and on a real S3 server."""

from __future__ import annotations

import json
import multiprocessing
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parc_core.storage.retry import PreconditionFailed
from parc_core.storage.store import Store


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "store" if request.param == "folder" else request.getfixturevalue("s3_url"))


def test_create_replace_delete(store: Store) -> None:
    assert store.conditional
    assert store.read_versioned("a/lease.json") is None
    assert not store.replace("a/lease.json", b"x", "any version")
    assert store.create("a/lease.json", b"one") and not store.create("a/lease.json", b"two")
    found = store.read_versioned("a/lease.json")
    assert found is not None and found[0] == b"one"
    assert store.replace("a/lease.json", b"three", found[1])
    assert not store.replace("a/lease.json", b"four", found[1])
    assert store.read_bytes("a/lease.json") == b"three"
    assert store.size("a/lease.json") == 5
    store.delete("a/lease.json")
    store.delete("a/lease.json")
    assert store.list() == []
    assert not store.replace("a/lease.json", b"five", found[1])
    assert store.create("a/lease.json", b"six")
    store.put_bytes(b"", "a/b/c")
    store.put_bytes(b"", "ab/c")
    store.delete_folder("a")
    assert store.list() == ["ab/c"]


def test_of_many_creators_one_wins(store: Store) -> None:
    for key in (f"claims/{i}" for i in range(5)):
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda i, key=key: store.create(key, b"%d" % i), range(8)))
        assert sum(won) == 1
        assert store.read_bytes(key) == b"%d" % won.index(True)


def _count_up(url: str, times: int) -> None:
    store = Store(url)
    for _ in range(times):
        while True:
            found = store.read_versioned("count")
            assert found is not None
            if store.replace("count", json.dumps(json.loads(found[0]) + 1).encode(), found[1]):
                break


def test_no_swap_is_lost_between_processes(store: Store) -> None:
    store.put_bytes(b"0", "count")
    spawn: Any = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_count_up, args=(store.url, 10)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert store.read_bytes("count") == b"30"


def test_other_stores_say_that_they_cannot() -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    assert not store.conditional
    assert store.create("a", b"one") and not store.create("a", b"two")
    found = store.read_versioned("a")
    assert (
        found is not None and store.replace("a", b"three", found[1]) and not store.replace("a", b"", found[1])
    )
    store.delete("a")
    assert store.read_versioned("a") is None


def test_a_put_whose_answer_was_lost_is_ones_own(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt is carried out, its answer is lost; the second finds the file that the first wrote."""
    store = Store(s3_url)
    assert store.conditional
    files: Any = store._files
    once = files._single_attempts()
    real = once.call_s3
    calls: list[str] = []

    def loses_the_first_answer(method: str, **arguments: Any) -> Any:
        calls.append(method)
        answer = real(method, **arguments)
        if len(calls) == 1:
            raise ConnectionResetError("the answer is lost")
        return answer

    monkeypatch.setattr(once, "call_s3", loses_the_first_answer)
    assert store.create("claim", b"mine")
    assert len(calls) == 2
    calls.clear()
    store.put_bytes(b"another's", "claim2")
    monkeypatch.setattr(once, "call_s3", _fails_once(real))
    assert not store.create("claim2", b"mine")


def _fails_once(real: Any) -> Any:
    failures = [ConnectionResetError("never arrived")]

    def call(method: str, **arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(method, **arguments)

    return call


def test_a_break_during_the_trial_is_no_verdict(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from parc_core.storage import s3 as s3_files

    monkeypatch.setattr(s3_files, "_CONDITIONAL", {})
    store = Store(s3_url)
    files: Any = store._files
    once = files._single_attempts()
    monkeypatch.setattr(once, "call_s3", _fails_once(once.call_s3))
    assert store.conditional


def test_a_server_that_ignores_conditions_is_noticed(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from parc_core.storage import s3 as s3_files

    store = Store(s3_url)
    files: Any = store._files
    real = files._put
    monkeypatch.setattr(s3_files, "_CONDITIONAL", {})
    monkeypatch.setattr(files, "_put", lambda key, data, **conditions: real(key, data))
    assert not store.conditional
    assert store.create("a", b"one") and not store.create("a", b"two")
    assert store.list_details(hidden=True)[0].key == "a"  # nothing is left of the trial
    with pytest.raises(PreconditionFailed):
        real("a", b"", IfNoneMatch="*")
