"""The parts of fetching many files at once, each whole or absent and checked."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar

from parc_core.errors import DataError
from parc_core.system.files import PathLike, cut_bytes, unwritable

THREADS = 16

Progress = Callable[[int, int], None]
"""Called with (done, total), in the caller's thread."""

Wanted = Tuple[str, PathLike, Optional[str]]
"""Key, local file, SHA-256 or None."""

Fetched = Dict[str, str]
"""SHA-256 by key."""

Failed = Dict[str, DataError]
"""Why a file could not be had, by key."""

T = TypeVar("T")


class Counter:
    """Counts in any thread what the caller's thread reports."""

    def __init__(self, total: int, progress: Optional[Progress]) -> None:
        self.total = total
        self._done = 0
        self._shown = -1
        self._progress = progress
        self._lock = threading.Lock()

    def one_more(self) -> None:
        """From any thread."""
        with self._lock:
            self._done += 1

    def show(self) -> None:
        """From the caller's thread."""
        if self._progress is not None and self._done != self._shown:
            self._shown = self._done
            self._progress(self._done, self.total)


class Fetching(Counter):
    """Counts fetched files, and keeps what came of each; in any thread."""

    def __init__(self, total: int, progress: Optional[Progress], failed: Optional[Failed]) -> None:
        """`failed`: where given, it gets what cannot be had; else the first such file ends the transfer."""
        super().__init__(total, progress)
        self.found: Fetched = {}
        self._failed = failed

    def settle(self, key: str, get: Callable[[], str]) -> None:
        """Files what `get` comes to: the SHA-256 of `key`, or a DataError."""
        try:
            self.found[key] = get()
        except DataError as error:
            if self._failed is None:
                raise
            self._failed[key] = error
        self.one_more()


def in_threads(call: Callable[[T], Any], items: Sequence[T], counter: Counter) -> None:
    """`call` of every item in a few threads; the first error ends it."""
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(call, item) for item in items]
        try:
            watch(futures, counter)
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def watch(futures: List[Future[Any]], counter: Counter) -> None:
    """Waits for all, showing progress; raises the first error."""
    left = set(futures)
    while left:
        done, left = wait(left, timeout=0.2, return_when="FIRST_EXCEPTION")
        counter.show()
        for future in done:
            future.result()


@contextlib.contextmanager
def file_beside(target: Path) -> Iterator[Path]:
    """A name for a temporary file beside `target`; what is left there goes at the end."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(target, error) from error
    temp = target.parent / f".{cut_bytes(target.name, 100)}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        yield temp
    finally:
        if temp.exists():
            temp.unlink()


def accept(temp: Path, target: PathLike, uri: str, wanted: Optional[str], found: str) -> str:
    """Moves a fetched file to its place if its SHA-256 is the wanted one. Returns `found`.

    Raises:
        DataError: it is not.
    """
    if wanted is not None and found != wanted:
        raise damaged(uri, wanted, found)
    os.replace(temp, target)
    return found


def damaged(uri: str, wanted: str, found: str) -> DataError:
    """The error for content that is not what it should be."""
    return DataError(
        f"{uri}: damaged, its SHA-256 is {found[:12]}… and not {wanted[:12]}…; delete it and make it again"
    )


def not_there(uri: str) -> DataError:
    """The error for what is not in the store."""
    return DataError(f"{uri}: not in the store; check the name and PARC_STORE")
