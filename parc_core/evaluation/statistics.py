"""Means and shares with 95 % intervals, over all clips and by class, and all numbers as a table."""

from __future__ import annotations

import csv
import io
import math
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from parc_core.evaluation.clip_result import ClipResult
from parc_core.evaluation.depth import MEASURES, SHARES
from parc_core.evaluation.success import RULES

Z95 = 1.959963984540054
_T95 = (
    "12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262 2.228 2.201 2.179 2.160 2.145 2.131 2.120 2.110 2.101 "
    "2.093 2.086 2.080 2.074 2.069 2.064 2.060 2.056 2.052 2.048 2.045 2.042"
)
_T = tuple(float(t) for t in _T95.split())
"""Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom."""
Interval = Optional[Tuple[float, float]]


def wilson(hits: int, count: int) -> Interval:
    """95 % interval (Wilson) of a share of independent trials; None without any."""
    if count == 0:
        return None
    share, z2 = hits / count, Z95 * Z95
    center = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    low, high = max(center - half, 0.0), min(center + half, 1.0)
    return (0.0 if hits == 0 else low, 1.0 if hits == count else high)


def student(values: Sequence[float]) -> Interval:
    """95 % interval (Student's t) of a mean; None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = t_quantile(n - 1) * spread / math.sqrt(n)
    return (mean - half, mean + half)


def t_quantile(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t; above 30 degrees of freedom by the expansion around the normal."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = Z95
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def share_of(answers: Sequence[bool]) -> Dict[str, Any]:
    """`share`, `count`, `of` and `interval` of answers."""
    hits = sum(answers)
    return {
        "share": hits / len(answers) if answers else None,
        "count": hits,
        "of": len(answers),
        "interval": wilson(hits, len(answers)),
    }


def mean_of(values: Sequence[Optional[float]]) -> Dict[str, Any]:
    """`mean`, `of` and `interval` of the values that there are; of differences, say, which may be negative."""
    known = [value for value in values if value is not None]
    return {
        "mean": math.fsum(known) / len(known) if known else None,
        "of": len(known),
        "interval": student(known),
    }


def mean_of_sizes(values: Sequence[Optional[float]], most: float = math.inf) -> Dict[str, Any]:
    """`mean_of` of values from 0 to `most`: nor does their interval go beyond."""
    found = mean_of(values)
    if found["interval"] is not None:
        low, high = found["interval"]
        found["interval"] = (max(low, 0.0), min(high, most))
    return found


def mean_of_shares(values: Sequence[Optional[float]]) -> Dict[str, Any]:
    """`mean_of` of values from 0 to 1."""
    return mean_of_sizes(values, 1.0)


def describe(clips: Sequence[ClipResult]) -> Dict[str, Any]:
    """Shares and means over some clips, every clip counting the same."""
    starts = [start for clip in clips for start in clip.random_starts]
    found: Dict[str, Any] = {"clips": len(clips), "completed": share_of([clip.completed for clip in clips])}
    judged = [clip for clip in clips if clip.success]
    found["success"] = {rule: share_of([clip.success[rule] for clip in judged]) for rule in RULES if judged}
    found["completed_fraction"] = mean_of_shares([clip.completed_fraction for clip in clips])
    found["joint_error_m"] = mean_of_sizes([clip.joint_error_m for clip in clips])
    found["episode_return"] = mean_of([clip.episode_return for clip in clips])  # wrong contacts are below 0
    done = [clip.joint_error_m for clip in clips if clip.completed]
    found["joint_error_completed_m"] = mean_of_sizes(done)
    found["tracking_errors"] = {
        name: mean_of_sizes([clip.tracking_errors[name] for clip in clips])
        for name in clips[0].tracking_errors
    }
    found["measures"] = {
        name: (mean_of_shares if name in SHARES else mean_of_sizes)(
            [clip.measures.get(name) for clip in clips]
        )
        for name in MEASURES
        if any(clip.measures for clip in clips)
    }
    if starts:
        found["random_starts"] = {
            "completed": share_of([bool(start["completed"]) for start in starts]),
            "completed_fraction": mean_of_shares([start["completed_fraction"] for start in starts]),
            "joint_error_m": mean_of_sizes([start["joint_error_m"] for start in starts]),
        }
    return found


def statistics(clips: Sequence[ClipResult]) -> Dict[str, Any]:
    """`overall` and `classes` (by name), see `describe`."""
    return {
        "overall": describe(clips),
        "classes": {name: describe(group) for name, group in by_class(clips).items()},
    }


def by_class(clips: Sequence[ClipResult]) -> Dict[str, List[ClipResult]]:
    """The clips of each class, classes in the order of their names."""
    groups: Dict[str, List[ClipResult]] = {}
    for clip in clips:
        groups.setdefault(clip.motion_class or "no class", []).append(clip)
    return dict(sorted(groups.items()))


def to_csv(clips: Sequence[ClipResult]) -> str:
    """One row for each clip, each class and all clips, told apart by the column `level`; empty where unknown.

    Of a class and of all clips `completed` and the success rules are shares; the columns `<name>_low` and `<name>_high`
    hold the 95 % intervals. Texts that a spreadsheet would take for formulas have an apostrophe before them.
    """
    rows = [_clip_row(clip) for clip in clips]
    found = statistics(clips)
    rows += [_group_row("class", name, part) for name, part in found["classes"].items()]
    rows.append(_group_row("overall", "", found["overall"]))
    columns: Dict[str, None] = {}
    for row in rows:
        columns.update(dict.fromkeys(row))
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _no_formula(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _no_formula(value: Any) -> Any:
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )


def _clip_row(clip: ClipResult) -> Dict[str, Any]:
    starts = clip.random_starts
    done = [float(start["completed"]) for start in starts]
    return {
        "level": "clip",
        "name": clip.name,
        "class": clip.motion_class,
        "clips": 1,
        "length_s": clip.length_s,
        "completed": int(clip.completed),
        "completed_fraction": clip.completed_fraction,
        "end_time_s": clip.end_time_s,
        "end_reason": clip.end_reason,
        "lost_body": clip.lost_body,
        "lost_value": clip.lost_value,
        "lost_limit": clip.lost_limit,
        **{f"success_{rule}": int(answer) for rule, answer in clip.success.items()},
        "joint_error_m": clip.joint_error_m,
        **clip.tracking_errors,
        **clip.measures,
        "episode_return": clip.episode_return,
        "steps": clip.steps,
        "random_starts_completed": sum(done) / len(done) if done else None,
    }


def _group_row(level: str, name: str, found: Mapping[str, Any]) -> Dict[str, Any]:
    row: Dict[str, Any] = {"level": level, "name": name, "class": name, "clips": found["clips"]}
    parts = {
        "completed": found["completed"],
        "completed_fraction": found["completed_fraction"],
        **{f"success_{rule}": part for rule, part in found["success"].items()},
        "joint_error_m": found["joint_error_m"],
        **found["tracking_errors"],
        **found["measures"],
        "episode_return": found["episode_return"],
    }
    if "random_starts" in found:
        parts["random_starts_completed"] = found["random_starts"]["completed"]
    for key, part in parts.items():
        row[key] = part.get("share", part.get("mean"))
        if part["interval"] is not None:
            row[f"{key}_low"], row[f"{key}_high"] = part["interval"]
    return row
