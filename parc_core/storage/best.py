"""Which of two models is better, by the numbers in their manifests."""

from __future__ import annotations

import math
from typing import Any, Mapping, Optional, Tuple

BEST = "best"

Score = Tuple[float, float]
"""Larger is better: share of clips completed, and minus the joint error (m; minus infinity where there is none)."""


def score(manifest: Mapping[str, Any]) -> Optional[Score]:
    """What a model is worth; None for one without numbers, or that failed its gate: it never becomes best by itself.

    Args:
        manifest: `metrics["after"]` (or `metrics`) has `completed_share` (0 to 1) and `joint_error_m` (m).
    """
    gate = manifest.get("gate") or {}
    metrics = manifest.get("metrics") or {}
    if isinstance(metrics.get("after"), dict):
        metrics = metrics["after"]
    completed = _number(metrics.get("completed_share"))
    if gate.get("failed") or completed is None or completed > 1:
        return None
    error = _number(metrics.get("joint_error_m"))
    return completed, -math.inf if error is None else -error


def is_better(new: Optional[Score], old: Optional[Score]) -> bool:
    """Whether `new` completes more clips, or as many with a smaller joint error. Equal ones are not better.

    One without a score is neither better than another, nor is anything better than it.
    """
    return new is not None and old is not None and new > old


def _number(value: Any) -> Optional[float]:
    """A number of 0 or more that a manifest holds, else None."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value < 0
    ):
        return None
    return float(value)
