"""Files that are whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from parc_core.errors import ConfigError
from parc_core.motion.formats import torch_file
from parc_core.storage.store import Store
from parc_core.system import files
from parc_core.system.files import (
    STALE_S,
    atomic_write,
    remove_stale_in,
    sha256_bytes,
    sha256_file,
    write_json,
    write_text,
)


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_text(path, "one")
    write_text(path, "zwei ü")
    assert path.read_text(encoding="utf-8") == "zwei ü"
    assert os.listdir(path.parent) == ["b.txt"]


def test_an_error_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half-way"), atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        raise RuntimeError("half-way")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["b.bin"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    write_text(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("name", ["file/x", "file/deeper/x", "folder"])
def test_unwritable_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r": cannot be written \(.+\); choose a place") as caught:
        write_text(tmp_path / name, "x")
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    refused = pytest.raises(ConfigError, match="No space left on device")
    with refused, atomic_write(tmp_path / "x"), open("/dev/full", "wb") as full:
        full.write(b"x" * (1 << 20))
    assert os.listdir(tmp_path) == []


def test_json(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": [1, 2.5, None], "a": "ü"})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"b": [1, 2.5, None], "a": "ü"}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["a"] == "ü"


def test_sha256(tmp_path: Path) -> None:
    # NIST's vector for "abc".
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "x") == abc
    data = bytes(range(256)) * 10_000  # several blocks
    (tmp_path / "x").write_bytes(data)
    assert sha256_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_hash_is_kept_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    read: list[str] = []
    original = files.sha256_file
    monkeypatch.setattr(files, "sha256_file", lambda name: read.append(str(name)) or original(name))
    assert files.content_sha256(path) == files.content_sha256(path) == sha256_bytes(b"old")
    monkeypatch.chdir(tmp_path)
    assert files.content_sha256("x") == sha256_bytes(b"old")
    assert read == [str(path)]
    times = path.stat()
    path.write_bytes(b"new")  # as long, and with its time put back
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert files.content_sha256(path) == sha256_bytes(b"new")
    with pytest.raises(FileNotFoundError):
        files.content_sha256(tmp_path / "none")


def test_temporary_files_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.put_bytes(b"x", "models/m/1/model.pt")
    folder = tmp_path / "store" / "models" / "m" / "1"

    def temporary(ending: str, age: float) -> Path:
        path = folder / f".model.pt{ending}"
        path.write_bytes(b"part")
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    old = 2 * STALE_S
    dead = [temporary(".77.0123abcd.tmp", old), temporary(".89abcdef.new", old)]
    living = [temporary(".78.0123abcd.tmp", STALE_S / 2), temporary(".lock", old), temporary(".tmp", old)]
    assert store.list("models") == ["models/m/1/model.pt"]
    assert not any(path.exists() for path in dead)
    assert all(path.exists() for path in living)
    again = temporary(".79.0123abcd.tmp", old)
    remove_stale_in(folder)
    remove_stale_in(tmp_path / "nothing")
    assert not again.exists()
    assert all(path.exists() for path in living)


def test_what_a_killed_write_leaves_is_known_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_remove_quietly", lambda path: None)
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / ("\u5b57" * 60)):
        raise KeyboardInterrupt
    [left] = tmp_path.iterdir()
    os.utime(left, (0, 0))
    monkeypatch.undo()
    remove_stale_in(tmp_path)
    assert not left.exists()


def _save_on_a_full_disk(path: Path, answers: Any) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        with atomic_write(path) as file:
            torch_file.save({"a": torch.zeros(1_000_000)}, file)
    except ConfigError as error:
        answers.put(str(error))


def test_a_disk_that_is_full_while_torch_writes(tmp_path: Path) -> None:
    """Torch's own word for it is "unexpected pos 64 vs 0", and version 1.13 ends the process."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_save_on_a_full_disk, args=(tmp_path / "a.pt", answers))
    child.start()
    assert "a.pt: cannot be written (File too large)" in answers.get(timeout=60)
    child.join()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_told_in_the_words_of_another_package(tmp_path: Path) -> None:
    message = r"a: cannot be written \(No space left on device\)"
    with pytest.raises(ConfigError, match=message), atomic_write(tmp_path / "a"):
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise RuntimeError("unexpected pos 64 vs 0") from error
    assert list(tmp_path.iterdir()) == []
