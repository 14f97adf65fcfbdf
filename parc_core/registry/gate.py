"""Which of two models is better, by the numbers in their manifests."""

from __future__ import annotations

import math
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional, Tuple

from parc_core.errors import ConfigError

BEST = "best"

Score = Tuple[float, float, float]
"""Larger is better: share of clips completed, tracked share of a clip, minus the joint error over completed clips
(m); minus infinity where there is none. The error while tracked does not count: who loses clips early has a small one.
"""


def score(metrics: Mapping[str, Any]) -> Optional[Score]:
    """What an evaluation's numbers are worth; None where they do not say how many clips were completed.

    Args:
        metrics: `completed_share` and `mean_completed_fraction` (0 to 1), `joint_error_completed_m` (m).
    """
    completed = _number(metrics.get("completed_share"))
    if completed is None or completed > 1:
        return None
    tracked = _number(metrics.get("mean_completed_fraction"))
    error = _number(metrics.get("joint_error_completed_m"))
    return completed, -math.inf if tracked is None else tracked, -math.inf if error is None else -error


def why_never_best(manifest: Mapping[str, Any]) -> str:
    """Why a model does not become `best` by itself, whatever others are worth; "" for one that may.

    Without a gate of its own a model still has to complete a clip: there must be something it is best at.
    """
    worth = score(metrics_of(manifest))
    if (manifest.get("gate") or {}).get("failed"):
        return "it failed its gate"
    if worth is None:
        return "it has no evaluation"
    return "" if worth[0] > 0 else "it completes no clip"


def is_better(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether a model may become `best` and is worth more than another, on the same clips. Equal is not better.

    Args:
        new: the manifest of a model.
        old: that of another one, of which `promote` may have chosen any.
    """
    both = scores_on_one_set(new, old)
    return not why_never_best(new) and both is not None and both[0] > both[1]


def scores_on_one_set(new: Mapping[str, Any], old: Mapping[str, Any]) -> Optional[Tuple[Score, Score]]:
    """What two models are worth on the same clips; None where there are none, or one model has no numbers.

    Those are the training clips that both were evaluated on, and the held-out clips that both were; where there are
    both, each number is the mean of the two. Where the new model's training started from the old one, the new model's
    count in any case: its manifest has the numbers of both there (`after` and `before`).
    """
    worth = [
        pair for pair in (_on_training_clips(new, old), _on_held_out_clips(new, old)) if pair is not None
    ]
    if not worth:
        return None
    return _mean_score([pair[0] for pair in worth]), _mean_score([pair[1] for pair in worth])


def _mean_score(scores: List[Score]) -> Score:
    completed, tracked, error = (math.fsum(values) / len(scores) for values in zip(*scores))
    return completed, tracked, error


def _on_training_clips(new: Mapping[str, Any], old: Mapping[str, Any]) -> Optional[Tuple[Score, Score]]:
    metrics = metrics_of(old)
    if not _same_clips(new, old):
        if not _started_from(new, old):
            return None
        metrics = new["metrics"].get("before") or {}
    return _both(score(metrics_of(new)), score(metrics))


def _on_held_out_clips(new: Mapping[str, Any], old: Mapping[str, Any]) -> Optional[Tuple[Score, Score]]:
    after, metrics = held_out_of(new), held_out_of(old)
    known = after.get("evaluation_set")
    if not known:
        return None
    if known != metrics.get("evaluation_set"):
        if not _started_from(new, old):
            return None
        metrics = held_out_of(new, "before")
    return _both(score(after), score(metrics))


def _both(one: Optional[Score], other: Optional[Score]) -> Optional[Tuple[Score, Score]]:
    return None if one is None or other is None else (one, other)


def metrics_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The numbers of a model itself: `metrics.after`, or `metrics` where that is not split."""
    metrics = manifest.get("metrics") or {}
    after = metrics.get("after")
    return after if isinstance(after, dict) else metrics


def held_out_of(manifest: Mapping[str, Any], when: str = "after") -> Mapping[str, Any]:
    """The numbers on clips that the training never saw: `metrics.held_out.after` (or `before`); empty without any."""
    parts = (manifest.get("metrics") or {}).get("held_out")
    found = parts.get(when) if isinstance(parts, dict) else None
    return found if isinstance(found, dict) else {}


def gated_numbers(manifest: Mapping[str, Any]) -> Dict[str, Any]:
    """What a gate's rules can be about: the model's own numbers, and those on held-out clips as `held_out_…`."""
    held_out = {HELD_OUT_PREFIX + name: value for name, value in held_out_of(manifest).items()}
    return {**metrics_of(manifest), **held_out}


def _same_clips(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether two models were evaluated on the same clips, as far as their manifests say.

    By the evaluation set; where one has none (it was evaluated by an earlier version) by the dataset that both were
    trained and evaluated on; where neither says anything, by the number of clips.
    """
    known = False
    for identity in (_evaluation_set, _dataset):
        one, other = identity(new), identity(old)
        if one and other:
            return one == other
        known = known or bool(one or other)
    return not known and metrics_of(new).get("clips") == metrics_of(old).get("clips")


def _evaluation_set(manifest: Mapping[str, Any]) -> str:
    return str(metrics_of(manifest).get("evaluation_set") or "")


def _dataset(manifest: Mapping[str, Any]) -> str:
    dataset = (manifest.get("lineage") or {}).get("dataset")
    return str(dataset.get("sha256") or "") if isinstance(dataset, dict) else ""


def _started_from(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether `old` is the model that the training of `new` started from."""
    parent = (new.get("lineage") or {}).get("parent")
    model = (old.get("files") or {}).get("model.pt")
    return (
        isinstance(parent, dict)
        and isinstance(model, dict)
        and isinstance((new.get("metrics") or {}).get("before"), dict)
        and parent.get("sha256") == model.get("sha256")
    )


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

HELD_OUT_PREFIX = "held_out_"
"""Before the name of a number on clips that the training never saw: `min_held_out_completed`."""

_SHARES = ("completed_share", "mean_completed_fraction")


def check_gate(gate: Mapping[str, float], metrics: Collection[str], where: str) -> None:
    """Looks whether a gate's rules can be judged, before there is anything to judge.

    Args:
        gate: as for `failed_rules`.
        metrics: names of the numbers that an evaluation gives.
        where: what is said before the rule's name.

    Raises:
        ConfigError: a rule names no metric that there is, or a limit is not finite, or a share beyond 0 to 1.
    """
    for rule, limit in gate.items():
        metric = _metric_of(rule, metrics, list(metrics), where)
        if not _is_number(limit):
            raise ConfigError(f"{where} '{rule}': its limit is {limit}; give a finite number")
        if metric.endswith(_SHARES) and not 0 <= limit <= 1:
            raise ConfigError(f"{where} '{rule}' is {limit}, but must be a share from 0 to 1")


def _metric_of(rule: str, metrics: Collection[str], shown: Iterable[str], where: str) -> str:
    bound, _, short = rule.partition("_")
    metric = _long_name(short)
    if bound not in ("min", "max") or metric not in metrics:
        raise ConfigError(f"{where} '{rule}': write min_… or max_… with one of {', '.join([*RULES, *shown])}")
    return metric


def _long_name(short: str) -> str:
    """Of a metric of a rule, `held_out_` or not."""
    if short.startswith(HELD_OUT_PREFIX):
        return HELD_OUT_PREFIX + _long_name(short[len(HELD_OUT_PREFIX) :])
    return RULES.get(short, short)


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
        shown = [key for key, value in metrics.items() if _is_number(value)]
        value = metrics[_metric_of(rule, metrics, shown, "gate")]
        # A number that is missing or not finite passes no gate.
        good = _is_number(value) and (value >= limit if rule.startswith("min_") else value <= limit)
        if not good:
            name = rule.partition("_")[2]
            broken.append(f"{_long_name(name)} is {value}, {rule} is {limit}")
    return broken


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
