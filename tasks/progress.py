"""The trainer's progress as lines of a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SECONDS_BETWEEN = 10.0


class ProgressLines:
    """Says where a training is, at its start, at most every few seconds, and at its end."""

    def __init__(
        self, max_samples: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max = max(max_samples, 1)
        self._say = say
        self._clock = clock
        self._said = -SECONDS_BETWEEN
        self._latest: dict[str, Any] = {}
        self.samples = 0

    def event(self, event: dict[str, Any]) -> None:
        """Takes one object of progress.jsonl."""
        if isinstance(event.get("samples"), int):
            self.samples = event["samples"]
        kind = event.get("event")
        if kind == "output":
            self._latest = event
        if kind in ("output", "heartbeat") and self._clock() - self._said >= SECONDS_BETWEEN:
            self._said = self._clock()
            self._say(progress_line({**self._latest, "samples": self.samples}, self._max))
        elif kind in ("start", "rollback", "interrupted", "done"):
            self._say(f"{kind} at {self.samples:,} of {self._max:,} samples")


def progress_line(event: dict[str, Any], max_samples: int) -> str:
    """One line of an output event: how far (100 % is the end, which the last iteration may go beyond), how well, how
    fast."""
    share = min(100, 100 * event["samples"] // max(max_samples, 1))
    parts = [f"{share:3} %  {event['samples']:>11,} samples"]
    for name, text in (
        ("Train_Return", "return {:.2f}"),
        ("Train_Episode_Length", "{:.1f} steps"),
        ("Samples_Per_Second", "{:,.0f} samples/s"),
    ):
        value = event.get(name)
        if isinstance(value, int | float):
            parts.append(text.format(value))
    return "  ".join(parts)
