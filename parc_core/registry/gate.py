"""Which of two models is better, by the numbers in their manifests."""

from __future__ import annotations

import math
from typing import Any, List, Mapping, Optional, Tuple

from parc_core.errors import ConfigError

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


RULES = {
    "completed": "completed_share",
    "tracked": "mean_completed_fraction",
    "joint_error": "joint_error_m",
    "return": "mean_return",
}
"""Short names for a gate's rules; every other metric goes by its own name."""


def failed_rules(metrics: Mapping[str, Any], gate: Mapping[str, float]) -> List[str]:
    """Which rules of a gate a model breaks, as text; none = it may become `latest`.

    Args:
        metrics: the model's numbers by name (an evaluation's summary).
        gate: `min_<metric>` or `max_<metric>` -> limit; `RULES` has short names: `min_completed: 0.9`,
            `max_joint_error: 0.08` (m).

    Raises:
        ConfigError: a rule names no metric that there is, or its limit is not a finite number.
    """
    broken = []
    for rule, limit in gate.items():
        if not _is_number(limit):
            raise ConfigError(f"gate '{rule}': its limit is {limit}; give a finite number")
        bound, _, short = rule.partition("_")
        metric = RULES.get(short, short)
        if bound not in ("min", "max") or metric not in metrics:
            known = ", ".join([*RULES, *(key for key, value in metrics.items() if _is_number(value))])
            raise ConfigError(f"gate '{rule}': write min_… or max_… with one of {known}")
        value = metrics[metric]
        # A number that is missing or not finite passes no gate.
        good = _is_number(value) and (value >= limit if bound == "min" else value <= limit)
        if not good:
            broken.append(f"{metric} is {value}, {rule} is {limit}")
    return broken


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
