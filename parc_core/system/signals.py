"""What SIGTERM and SIGINT do: a wish that is granted at the end of the iteration, or an exception."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Callable, ContextManager, Iterator, Optional, Sequence, Type

from parc_core.errors import EXIT_INTERRUPTED

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAME_REQUEST_SECONDS = 2.0
"""One request comes more than once: a dying parent's threads each send SIGTERM, a terminal signals the group."""

Handler = Callable[[int, Optional[FrameType]], Any]


@contextlib.contextmanager
def handled(handler: Handler, numbers: Sequence[int] = SIGNALS) -> Iterator[None]:
    """Within `with`, signals go to `handler`; in a thread that is not the main one nothing changes.

    Python lets only the main thread set handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, previous in before:
            signal.signal(number, previous)


def raising(error: Callable[[int], BaseException], numbers: Sequence[int] = SIGNALS) -> ContextManager[None]:
    """Within `with`, a signal raises `error(number)` in the main thread."""

    def leave(number: int, _frame: Optional[FrameType]) -> None:
        raise error(number)

    return handled(leave, numbers)


def exit_interrupted() -> ContextManager[None]:
    """SIGTERM and Ctrl-C become SystemExit(75), on the way of which a supervisor stops its trainer."""
    return raising(lambda number: SystemExit(EXIT_INTERRUPTED))


class StopSignals:
    """Within `with`, the first signal is only noted in `number`; a later one acts at once."""

    def __init__(self) -> None:
        self.number: Optional[int] = None
        self._since = 0.0
        self._handled: ContextManager[None] = contextlib.nullcontext()

    def __enter__(self) -> StopSignals:
        self._handled = handled(self._note)
        self._handled.__enter__()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._handled.__exit__(kind, error, trace)

    def _note(self, number: int, _frame: Optional[FrameType]) -> None:
        if self.number is None:
            self.number, self._since = number, time.monotonic()
        elif time.monotonic() - self._since > SAME_REQUEST_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
