"""SIGTERM and SIGINT as a wish that is granted at the end of the iteration."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Dict, Optional, Type

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAME_REQUEST_SECONDS = 2.0
"""One request comes more than once: a dying parent's threads each send SIGTERM, a terminal signals the group."""


class StopSignals:
    """Within `with`, the first signal is only noted in `number`; a later one acts at once."""

    def __init__(self) -> None:
        self.number: Optional[int] = None
        self._since = 0.0
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        # Python lets the main thread alone set handlers; a trainer in another thread goes without.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
            for number in SIGNALS:
                signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: Optional[FrameType]) -> None:
        if self.number is None:
            self.number, self._since = number, time.monotonic()
        elif time.monotonic() - self._since > SAME_REQUEST_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
