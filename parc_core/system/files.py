"""Files that are either whole or absent: written beside their place, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import time
import uuid
from pathlib import Path
from typing import IO, Any, Dict, Iterator, Optional, Tuple, Union

from parc_core.errors import ConfigError, DataError

PathLike = Union[str, "os.PathLike[str]"]

STALE_S = 3 * 3600.0
"""A temporary file that nothing was written to for so long belongs to no process that lives."""
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.(tmp|new)", re.DOTALL)
"""Names that `atomic_write`, the store's folders and transfers make."""
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


@contextlib.contextmanager
def atomic_write(path: PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that becomes `path` when the block ends well, and vanishes when it does not.

    Missing parent folders are made. Readers see the old content or the new, never a part; the new one
    survives a power cut (file and folder are synced).

    Args:
        path: the file to write; an existing one is replaced.
        mode: "wb" or "w" (UTF-8).

    Raises:
        ConfigError: the place cannot be written, or the disk is full.
    """
    target = Path(path)
    temp = target.parent / f".{cut_bytes(target.name, 100)}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # "x" and the default 0666 let the user's umask decide who may read, unlike tempfile's 0600.
        file = open(temp, mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8")  # noqa: SIM115
    except OSError as error:
        raise unwritable(target, error) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            os.replace(temp, target)
        except OSError as error:
            raise unwritable(target, error) from error
        _sync_folder(target.parent)
    except OSError as error:
        _remove_quietly(temp)
        if error.errno in _DISK_ERRORS:
            raise unwritable(target, error) from error
        raise
    except BaseException as error:
        _remove_quietly(temp)
        cause = _disk_error(error)
        if cause is not None:
            raise unwritable(target, cause) from error
        raise


def _disk_error(error: Optional[BaseException]) -> Optional[OSError]:
    """The full or failing disk behind an error: writers of other packages tell of it in words of their own."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            return error
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None


def cut_bytes(text: str, count: int) -> str:
    """The beginning of a file name that takes at most `count` bytes: file systems count those, not characters."""
    return os.fsencode(text)[:count].decode("utf-8", "ignore")


def printable_name(name: str) -> str:
    """A file name or path fit for messages, JSON and new file names: bytes that are not UTF-8 become %FF."""
    return "".join(
        c if c.isprintable() else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "surrogateescape"))
        for c in name
    )


def open_regular(path: PathLike) -> IO[bytes]:
    """Open a file for reading, but nothing else: a named pipe would wait for a writer, a device may never end.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise OSError(code, f"it is {_kind(mode)}, not a file", os.fspath(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _kind(mode: int) -> str:
    known = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return known.get(stat.S_IFMT(mode), "something else")


def read_regular(path: PathLike, max_bytes: Optional[int] = None) -> bytes:
    """The content of a regular file (see `open_regular`).

    Raises:
        OSError: it cannot be read, or is larger than `max_bytes`.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if max_bytes is not None and size > max_bytes:
            reason = f"it has {size / 2**30:.1f} GB, at most {max_bytes / 2**30:.0f} are read"
            raise OSError(errno.EOVERFLOW, reason, os.fspath(path))
        return file.read()


def remove_stale(path: Path) -> bool:
    """Removes a temporary file of a process that was killed hours ago; whether it was one, and is gone."""
    if not _TEMPORARY.fullmatch(path.name) or time.time() - path.stat().st_mtime < STALE_S:
        return False
    _remove_quietly(path)
    return True


def remove_stale_in(folder: Path) -> None:
    """`remove_stale` of all that lies in a folder, where there is one."""
    for path in folder.glob(".*.*") if folder.is_dir() else ():
        with contextlib.suppress(OSError):  # removed by another process meanwhile
            remove_stale(path)


def write_text(path: PathLike, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_write(path, "w") as file:
        file.write(text)


def write_bytes(path: PathLike, data: bytes) -> None:
    """Write a binary file atomically."""
    with atomic_write(path, "wb") as file:
        file.write(data)


def write_json(path: PathLike, value: Any) -> None:
    """Write `value` as indented JSON atomically; NaN and infinity are refused (they are not JSON)."""
    write_text(path, dump_json(value))


def dump_json(value: Any) -> str:
    """The JSON text that `write_json` writes: two spaces, the order of the keys as given.

    Raises:
        DataError: a text holds half a character.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    half = re.search("[\ud800-\udfff]", text)
    if half:  # has no UTF-8, and readers refuse it
        raise DataError("text with half a character (a lone surrogate) in what is to be written; correct it")
    return text


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of `data`, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: PathLike) -> str:
    """SHA-256 of a file's content, as 64 hex digits; reads one MiB at a time."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


_known: Dict[str, Tuple[Tuple[int, ...], str]] = {}
"""Stamp and SHA-256 by absolute path."""


def content_sha256(path: PathLike) -> str:
    """`sha256_file`, which a process reads again only after size, times or inode of the file changed.

    The change time catches what keeps size and modification time (`cp -p`, `rsync -t`).

    Raises:
        OSError: the file cannot be read.
    """
    name = os.path.abspath(path)
    found = os.stat(name)
    stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    known = _known.get(name)
    if known is None or known[0] != stamp:
        known = _known[name] = (stamp, sha256_file(name))
    return known[1]


def unwritable(path: Path, error: OSError) -> ConfigError:
    """The error for a place that cannot be written, in one line."""
    reason = error.strerror or str(error)
    return ConfigError(f"{path}: cannot be written ({reason}); choose a place that is writable and has room")


def _remove_quietly(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    # Some file systems (network mounts, Windows) refuse to open or sync folders; the rename stands anyway.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
