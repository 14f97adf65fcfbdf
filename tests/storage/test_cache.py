"""Copies of remote files by content, with a limit."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

from parc_core.errors import ConfigError
from parc_core.storage.cache import IN_USE_S, LocalCache, cache_folder, cache_limit
from parc_core.storage.store import Store
from parc_core.system.files import sha256_bytes


def put(cache: LocalCache, data: bytes, age_s: float) -> Path:
    with cache.incoming() as folder:
        (folder / "x").write_bytes(data)
        path = cache.insert(folder / "x", sha256_bytes(data))
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def fetched(store: Store, ref: dict[str, str]) -> Path:
    """The file of a reference, taken through the cache as motion folders are."""
    cache, sha256 = LocalCache(), ref["sha256"]
    found = cache.find(sha256)
    if found is None:
        with cache.incoming() as folder:
            found = cache.insert(store.get_file(store.key_of(ref["uri"]), folder / "x", sha256), sha256)
        cache.trim()
    return found


def test_a_damaged_copy_is_removed(s3_url: str) -> None:
    store = Store(s3_url)
    ref = store.put_bytes(b"abc", "a/b")
    path = fetched(store, ref)
    assert path.read_bytes() == b"abc" and cache_folder() in path.parents
    store.delete("a/b")
    assert fetched(store, ref) == path  # no question to the store for what is here
    path.write_bytes(b"abd")
    assert LocalCache().find(ref["sha256"]) is None and not path.exists()


def test_the_least_recently_used_go(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache", limit=2000)
    old, older, new = (put(cache, bytes([i]) * 1000, age) for i, age in enumerate((2e4, 3e4, 0.0)))
    assert cache.trim() == 1000
    assert not older.exists() and old.exists() and new.exists()
    assert cache.trim() == 0
    # A use counts: the older one stays, the other goes.
    again = put(cache, b"\3" * 1000, 3e4)
    assert cache.find(sha256_bytes(b"\3" * 1000)) == again
    assert cache.trim() == 1000
    assert again.exists() and not old.exists() and new.exists()


def test_what_may_be_in_use_stays(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache", limit=0)
    path = put(cache, b"x" * 1000, IN_USE_S - 60)
    assert cache.trim() == 0 and path.exists()
    put(cache, b"x" * 1000, IN_USE_S + 60)
    assert cache.trim() == 1000 and not path.exists()


def test_using_a_file_leaves_its_modification_time(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache")
    path = put(cache, b"x", 1e5)
    before = path.stat().st_mtime_ns
    assert cache.find(sha256_bytes(b"x"), size=1) == path
    assert path.stat().st_mtime_ns == before and time.time() - path.stat().st_atime < 60
    assert cache.find(sha256_bytes(b"x"), size=2) is None and not path.exists()


def test_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PARC_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("PARC_CACHE_GB", "0.5")
    assert cache_folder() == tmp_path / "c" and cache_limit() == 500_000_000
    for text in ("much", "-1", "nan"):
        monkeypatch.setenv("PARC_CACHE_GB", text)
        with pytest.raises(ConfigError, match="PARC_CACHE_GB"):
            cache_limit()
    monkeypatch.setenv("PARC_CACHE_GB", "")
    monkeypatch.delenv("PARC_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "parc-tracker" and cache_limit() == 50e9
    with pytest.raises(ValueError, match="no SHA-256"):
        LocalCache(tmp_path).path("../../etc/passwd")


def _take_all(url: str, refs: list[dict[str, str]], times: int) -> None:
    store = Store(url)
    for _ in range(times):
        for ref in refs:
            assert sha256_bytes(fetched(store, ref).read_bytes()) == ref["sha256"]


def test_several_processes_and_a_cache_that_is_too_small(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARC_CACHE_GB", "0.000001")
    store = Store(s3_url)
    refs = [store.put_bytes(bytes([i]) * 100_000, f"files/{i}") for i in range(5)]
    spawn: Any = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_take_all, args=(s3_url, refs, 3)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert list(cache_folder().glob("incoming/*")) == []
