"""Locks on files, which the kernel drops with the last process that holds them: none is ever left behind."""

from __future__ import annotations

import contextlib
import time
from typing import IO, Any, Callable, Iterator, Optional

try:
    import fcntl
except ImportError:  # not a POSIX system: no locks there
    fcntl = None  # type: ignore[assignment]


def try_lock(file: IO[Any]) -> bool:
    """Locks an open file without waiting; False while it is locked through another open file.

    The lock belongs to the open file: a child process that inherits its descriptor holds the lock, too.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextlib.contextmanager
def locked(
    file: IO[Any], waiting: Optional[Callable[[float], None]] = None, poll: float = 0.1
) -> Iterator[int]:
    """Holds the lock of an open file, which is closed at the end.

    Args:
        file: open for writing.
        waiting: called before each further attempt with the seconds waited so far; what it raises ends the waiting.
        poll: seconds between two attempts. Without `waiting`, the kernel wakes us.

    Yields:
        The locked file descriptor.
    """
    with file:
        start = time.monotonic()
        while not try_lock(file):
            if waiting is None:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
                break
            waiting(time.monotonic() - start)
            time.sleep(poll)
        yield file.fileno()
