"""What the report's page lists: ways in which clips ended, bars, classes, rows, cards, tracking errors, measures."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from markupsafe import Markup

from parc_core.envs.terminations import FAILURES
from parc_core.evaluation.clip_result import COMPLETED
from parc_core.evaluation.page import spaced
from parc_core.evaluation.report_data import ERROR_TITLES, MEASURE_TITLES, unit_of, why
from parc_core.evaluation.result import ClipResult, EvalResult, percent_of_parts, summarize, worst_first
from parc_core.evaluation.statistics import by_class

_COMPLETED_COLOUR = "#2f9e6e"
_PALETTE = ("#7a7f87", "#d64545", "#e08e2b", "#c9609c", "#8a63c9", "#2f8f9e", "#7d8f2b", "#a3673f")
"""Of the reasons for which clips are lost."""


def end_reasons(result: EvalResult) -> List[Dict[str, Any]]:
    """How clips ended, completed first, then the most frequent; as shown they add up to 100 %."""
    counts = sorted(result.summary.end_reasons.items(), key=lambda item: (item[0] != COMPLETED, -item[1]))
    shares = [count / result.summary.clips for _, count in counts]
    return [
        {"name": name, "style": _style(name), "count": count, "share": share, "shown": spaced(shown)}
        for (name, count), share, shown in zip(counts, shares, percent_of_parts(shares))
    ]


def clip_bars(clips: List[ClipResult], earlier: Dict[str, ClipResult]) -> List[Dict[str, Any]]:
    """One bar per clip, failures first."""
    return [
        {
            "name": clip.name,
            "share": clip.shown_share,
            "before": earlier[clip.name].shown_share if clip.name in earlier else None,
            "reason": clip.end_reason,
            "style": _style(clip.end_reason),
        }
        for clip in (clips[k] for k in worst_first(clips))
    ]


def class_rows(
    found: Mapping[str, Any], clips: List[ClipResult], earlier: Dict[str, ClipResult]
) -> List[Dict[str, Any]]:
    """Numbers of each class, the one that is completed least first."""
    groups = by_class(clips)
    rows = [
        {
            "name": name,
            "found": part,
            "tracked": summarize(groups[name]).shown_tracked_share,
            "before": (
                sum(earlier[clip.name].completed for clip in groups[name]) / len(groups[name])
                if all(clip.name in earlier for clip in groups[name])
                else None
            ),
        }
        for name, part in found.items()
    ]
    return sorted(rows, key=lambda row: (row["found"]["completed"]["share"], row["tracked"], row["name"]))


def clip_row(clip: ClipResult, before: Optional[ClipResult]) -> Dict[str, Any]:
    """A row of the table of clips; `before` is the clip under the policy that the training started from."""
    return {"clip": clip, "before": before, "style": _style(clip.end_reason)}


def clip_card(clip: ClipResult, row: int, scenes: Mapping[str, Markup]) -> Dict[str, Any]:
    """The card of a lost clip, with its scene where there is one; `row` is its place in the table of clips."""
    scene = scenes.get(clip.name)
    return {"clip": clip, "row": row, "why": why(clip), "scene": scene, "style": _style(clip.end_reason)}


def error_rows(
    result: EvalResult, before: Optional[EvalResult], overall: Mapping[str, Any]
) -> List[Dict[str, Any]]:
    """Tracking errors: the mean, the statistics over clips, and the mean before the training."""
    earlier = before.summary.tracking_errors if before is not None else {}
    return [
        {
            "name": ERROR_TITLES.get(name, name),
            "unit": unit_of(name),
            "value": value,
            "part": overall["tracking_errors"].get(name),
            "before": earlier.get(name),
        }
        for name, value in result.summary.tracking_errors.items()
    ]


def measure_rows(overall: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Contacts, penetration, skating, jerk and power over all clips."""
    return [
        {"name": MEASURE_TITLES[name][0], "unit": MEASURE_TITLES[name][1], "part": part}
        for name, part in overall["measures"].items()
    ]


def style_colours() -> Dict[str, str]:
    """Of each style; reasons take the palette's in their order."""
    reasons = {_style(reason.label): _PALETTE[i % len(_PALETTE)] for i, reason in enumerate(FAILURES)}
    return {_style(COMPLETED): _COMPLETED_COLOUR, **reasons}


def _style(reason: str) -> str:
    return reason.replace(" ", "-")
