"""Numbers that change with the samples of a training."""

from __future__ import annotations


def ramp(begin: float, end: float, samples: int, over: float) -> float:
    """Linear from `begin` at 0 samples to `end` at `over` (above 0), and from there on `end`."""
    share = min(1.0, max(0.0, samples / over))
    return float((1.0 - share) * begin + share * end)
