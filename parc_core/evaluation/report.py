"""One page on a model: headline numbers, video, learning curves, every clip, settings; needs no other file."""

from __future__ import annotations

import base64
import datetime
import importlib.metadata
import math
import platform
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from markupsafe import Markup

from parc_core import __version__
from parc_core.envs.terminations import FAILURES
from parc_core.evaluation.clip_result import COMPLETED
from parc_core.evaluation.curves import LearningCurves, read_curves
from parc_core.evaluation.page import as_text, render, spaced, without_places
from parc_core.evaluation.report_data import (
    ERROR_TITLES,
    MEASURE_TITLES,
    RULE_TITLES,
    card_places,
    details,
    unit_of,
    why,
)
from parc_core.evaluation.result import (
    ClipResult,
    EvalResult,
    percent_of_parts,
    summarize,
    worst_first,
)
from parc_core.evaluation.statistics import by_class, statistics
from parc_core.evaluation.svg import histogram, line_chart, nice_ticks
from parc_core.system.files import PathLike, write_text

MAX_BARS = 60
"""More clips are shown by class and as distributions, not each as a bar."""
MAX_ROWS = 3000
"""More clips are only in the JSON file."""
_COMPLETED_COLOUR = "#2f9e6e"
_PALETTE = ("#7a7f87", "#d64545", "#e08e2b", "#c9609c", "#8a63c9", "#2f8f9e", "#7d8f2b", "#a3673f")
"""Of the reasons for which clips are lost."""
_PACKAGES = ("torch", "mujoco", "mujoco-warp", "numpy", "prefect")


def write_report(
    path: PathLike,
    result: EvalResult,
    before: Optional[EvalResult] = None,
    *,
    title: str = "Motion tracker",
    training_dir: Optional[PathLike] = None,
    video: Optional[PathLike] = None,
    video_note: str = "",
    settings: Optional[Mapping[str, Any]] = None,
    lineage: Optional[Mapping[str, str]] = None,
    differs: Optional[Mapping[str, str]] = None,
    scenes: Optional[Mapping[str, Markup]] = None,
    player: str = "",
) -> None:
    """Writes the page.

    Args:
        path: of the HTML file.
        result: the evaluation.
        before: that of the policy that the training started from, on the same clips.
        training_dir: folder with log.txt or progress.jsonl, for the learning curves.
        video: GIF, becomes part of the page.
        video_note: said instead of it.
        settings: name -> text or mapping, shown at the end (configs).
        lineage: name -> text: where the model comes from.
        differs: settings that are not the preset's.
        scenes: HTML of the moment of loss by the names of clips (see `report_data.card_places`).
        player: HTML that the scenes need, once.
    """
    earlier = {clip.name: clip for clip in before.clips} if before is not None else {}
    curves = LearningCurves()
    if training_dir is not None:
        curves = read_curves(
            Path(training_dir), [name for chart in _CHARTS for name in (chart[0], *chart[3])]
        )
    clips = result.clips
    order = worst_first(clips)[:MAX_ROWS]
    found = statistics(clips)
    many = len(clips) > MAX_BARS
    cards = [k for k in card_places(clips) if k in set(order)]
    text = render(
        "report",
        title=title,
        written=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        summary=result.summary,
        before=before.summary if before is not None else None,
        overall=found["overall"],
        rules=RULE_TITLES,
        charts=_charts(curves),
        video=_gif_uri(video),
        video_note=video_note,
        bars=[] if many else _bars(clips, earlier),
        histograms=_histograms(clips) if many else [],
        classes=_classes(found["classes"], clips, earlier),
        many=many,
        reasons=_reasons(result),
        colours=_colours(),
        cards=[_card(clips[k], order.index(k), scenes or {}) for k in cards],
        lost=sum(not clip.completed for clip in clips),
        player=Markup(player),
        rows=[_row(clips[k], earlier.get(clips[k].name)) for k in order],
        rows_hidden=max(len(clips) - MAX_ROWS, 0),
        details=details(result, order),
        errors=_errors(result, before, found["overall"]),
        measures=_measures(found["overall"]),
        held_out=_held_out(result, before),
        lineage={name: without_places(str(value)) for name, value in (lineage or {}).items()},
        differs=differs,
        settings=_settings(result, settings),
    )
    write_text(path, text)


def _held_out(result: EvalResult, before: Optional[EvalResult]) -> Optional[Dict[str, Any]]:
    """What the page says of the clips that the training never saw."""
    if result.held_out is None:
        return None
    earlier = before.held_out if before is not None else None
    known = {clip.name: clip for clip in earlier.clips} if earlier is not None else {}
    clips = result.held_out.clips
    many = len(clips) > MAX_BARS
    return {
        "summary": result.held_out.summary,
        "before": earlier.summary if earlier is not None else None,
        "bars": _bars(clips, known)[:MAX_BARS],
        "classes": _classes(statistics(clips)["classes"], clips, known) if many else [],
    }


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _percent_of_axis(share: float) -> str:
    """With up to four digits, and never up to 100."""
    text = f"{100.0 * share:.4g}"
    return f"{'99.99' if text == '100' and share < 1.0 else text} %"


def _short(value: float) -> str:
    """2500000 -> 2.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


_CHARTS: Tuple[Tuple[str, str, Callable[[float], str], Dict[str, str]], ...] = (
    ("Train_Return", "Return per episode", _plain, {}),
    ("Train_Episode_Length", "Steps per episode", _plain, {}),
    ("Completed", "Episodes completed", _percent_of_axis, {}),
    (
        "Fail_Rate_Q50",
        "Failure rate of clips: median",
        _plain,
        {f"Fail_Rate_Q{q}": f"{q} %" for q in (25, 75, 90, 99)},
    ),
    ("Kl", "KL divergence of an update", _plain, {}),
    ("Actor_Loss", "Actor loss", _plain, {}),
    ("Critic_Loss", "Critic loss", _plain, {}),
    ("Samples_Per_Second", "Speed, samples/s", _short, {}),
)
"""Column of the log, heading, how its values are written, further columns with their names."""


def _charts(curves: LearningCurves) -> Dict[str, List[Any]]:
    """The curves over samples and over time; none before there are two points."""
    if len(curves) < 2:
        return {}
    minutes = max((h for h in curves.hours if math.isfinite(h)), default=0.0) < 2.0
    times = [60.0 * h for h in curves.hours] if minutes else curves.hours
    axes = {
        "samples": (curves.samples, "samples", _short),
        "time": (times, "minutes" if minutes else "hours", _plain),
    }
    return {
        name: [
            line_chart(
                x,
                curves.values[column],
                heading,
                label,
                text,
                value_text,
                others={said: curves.values[more] for more, said in others.items() if more in curves.values},
            )
            for column, heading, value_text, others in _CHARTS
            if column in curves.values
        ]
        for name, (x, label, text) in axes.items()
    }


def _histograms(clips: List[ClipResult]) -> List[Markup]:
    """How the clips are distributed: tracked share, joint error, length at the end."""
    groups = {
        "completed": [clip for clip in clips if clip.completed],
        "lost": [clip for clip in clips if not clip.completed],
    }

    def values(read: Callable[[ClipResult], float]) -> Dict[str, List[float]]:
        return {name: [read(clip) for clip in group] for name, group in groups.items()}

    errors = sorted(clip.joint_error_m for clip in clips)
    most = nice_ticks(0.0, max(errors[int(0.98 * (len(errors) - 1))], 0.01), 4)[-1]
    longest = nice_ticks(0.0, max(clip.length_s for clip in clips), 4)[-1]
    return [
        histogram(
            values(lambda c: c.shown_share), "Tracked share of the clips", "tracked", _percent_of_axis, 1.0
        ),
        histogram(values(lambda c: c.joint_error_m), "Joint error while tracked", "m", _plain, most),
        histogram(values(lambda c: c.end_time_s), "Time at which clips ended", "s", _plain, longest),
    ]


def _card(clip: ClipResult, row: int, scenes: Mapping[str, Markup]) -> Dict[str, Any]:
    scene = scenes.get(clip.name)
    return {"clip": clip, "row": row, "why": why(clip), "scene": scene, "style": _style(clip.end_reason)}


def _bars(clips: List[ClipResult], earlier: Dict[str, ClipResult]) -> List[Dict[str, Any]]:
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


def _classes(
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


def _style(reason: str) -> str:
    return reason.replace(" ", "-")


def _colours() -> Dict[str, str]:
    """Of each style; reasons take the palette's in their order."""
    reasons = {_style(reason.label): _PALETTE[i % len(_PALETTE)] for i, reason in enumerate(FAILURES)}
    return {_style(COMPLETED): _COMPLETED_COLOUR, **reasons}


def _reasons(result: EvalResult) -> List[Dict[str, Any]]:
    """How clips ended, completed first, then the most frequent; as shown they add up to 100 %."""
    counts = sorted(result.summary.end_reasons.items(), key=lambda item: (item[0] != COMPLETED, -item[1]))
    shares = [count / result.summary.clips for _, count in counts]
    return [
        {"name": name, "style": _style(name), "count": count, "share": share, "shown": spaced(shown)}
        for (name, count), share, shown in zip(counts, shares, percent_of_parts(shares))
    ]


def _row(clip: ClipResult, before: Optional[ClipResult]) -> Dict[str, Any]:
    return {"clip": clip, "before": before, "style": _style(clip.end_reason)}


def _errors(
    result: EvalResult, before: Optional[EvalResult], overall: Mapping[str, Any]
) -> List[Dict[str, Any]]:
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


def _measures(overall: Mapping[str, Any]) -> List[Dict[str, Any]]:
    return [
        {"name": MEASURE_TITLES[name][0], "unit": MEASURE_TITLES[name][1], "part": part}
        for name, part in overall["measures"].items()
    ]


def _settings(result: EvalResult, extra: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    shown: Dict[str, Any] = {"evaluation": result.settings, "versions": versions(), **(extra or {})}
    return {name: as_text(value) for name, value in shown.items()}


def versions() -> Dict[str, str]:
    """Versions of Python and of the packages that matter, as far as they are installed."""
    found = {"python": platform.python_version(), "parc-tracker": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _gif_uri(path: Optional[PathLike]) -> Optional[str]:
    if path is None:
        return None
    return f"data:image/gif;base64,{base64.b64encode(Path(path).read_bytes()).decode('ascii')}"
