"""Copies of remote files on this machine, by content, with a limit to their size."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from parc_core.system.environment_numbers import real
from parc_core.system.files import PathLike, sha256_file, unwritable

DEFAULT_GB = 50.0
_MAX_GB = 1_000_000
IN_USE_S = 3600.0
"""What was used within the last hour may be in use by another process and stays."""
_NOTE_AFTER_S = 300.0  # a use is noted once in five minutes, not for each of thousands of files again


def cache_folder() -> Path:
    """`$PARC_CACHE`, else ~/.cache/parc-tracker."""
    text = os.environ.get("PARC_CACHE") or os.path.join("~", ".cache", "parc-tracker")
    return Path(os.path.expanduser(text)).absolute()


def cache_limit() -> int:
    """Bytes: `$PARC_CACHE_GB` (10⁹ bytes), else 50 GB.

    Raises:
        ConfigError: no number, or out of bounds.
    """
    return int(real("PARC_CACHE_GB", DEFAULT_GB, 0, _MAX_GB, "a size in GB") * 1e9)


class LocalCache:
    """Files by SHA-256 in `<folder>/files`; several processes may use it at once.

    A file appears by a rename and is never changed, so that it needs no locks. The least recently used files
    go where the limit is passed; the time of the last use is the file's access time, set by `find`.
    """

    def __init__(self, folder: Optional[PathLike] = None, limit: Optional[int] = None) -> None:
        """`folder`: default `cache_folder()`; `limit`: bytes, default `cache_limit()`."""
        self.folder = cache_folder() if folder is None else Path(folder).absolute()
        self.limit = cache_limit() if limit is None else limit

    def path(self, sha256: str) -> Path:
        """Where the content with this hash lies, if it is there."""
        if len(sha256) != 64 or any(letter not in "0123456789abcdef" for letter in sha256):
            raise ValueError(f"{sha256!r} is no SHA-256")
        return self.folder / "files" / sha256[:2] / sha256

    def find(self, sha256: str, size: Optional[int] = None) -> Optional[Path]:
        """The file with this content, or None. A damaged one is removed.

        Args:
            sha256: of the content.
            size: where given, the size alone is compared, which is quicker than reading the file.
        """
        path = self.path(sha256)
        try:
            stat = path.stat()
            good = stat.st_size == size if size is not None else sha256_file(path) == sha256
        except OSError:
            return None
        if not good:
            self.drop(sha256)
            return None
        if abs(time.time() - stat.st_atime) > _NOTE_AFTER_S:  # also of a clock that was set back since
            with contextlib.suppress(OSError):  # of a read-only cache nothing is ever removed
                os.utime(path, ns=(time.time_ns(), stat.st_mtime_ns))
        return path

    def drop(self, sha256: str) -> None:
        """Remove a file that is not what it should be."""
        with contextlib.suppress(FileNotFoundError):
            self.path(sha256).unlink()

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder for files on their way in, on the cache's disk; removed with what is left in it."""
        import shutil

        folder = self.folder / "incoming" / uuid.uuid4().hex
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def insert(self, file: Path, sha256: str) -> Path:
        """Take in a verified file of `incoming`."""
        path = self.path(sha256)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, path)
        except OSError as error:
            raise unwritable(path, error) from error
        return path

    def trim(self) -> int:
        """Remove the least recently used files until the limit is kept; what was used in the last hour stays.

        Returns:
            Bytes removed.
        """
        now = time.time()
        files, total = self._files()
        removed = 0
        for used, size, path in sorted(files):
            if total - removed <= self.limit or now - used < IN_USE_S:
                break
            with contextlib.suppress(OSError):  # another process trims, too
                path.unlink()
                removed += size
        return removed

    def _files(self) -> Tuple[List[Tuple[float, int, Path]], int]:
        files: List[Tuple[float, int, Path]] = []
        for path in self.folder.glob("files/*/*"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                files.append((max(stat.st_atime, stat.st_mtime), stat.st_size, path))
        for left in self.folder.glob("incoming/*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > 24 * IN_USE_S:  # of a process that was killed
                    import shutil

                    shutil.rmtree(left, ignore_errors=True)
        return files, sum(size for _, size, _ in files)
