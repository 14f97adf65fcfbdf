"""One page on a model: headline numbers, video, learning curves, every clip, settings; needs no other file."""

from __future__ import annotations

import base64
import datetime
import importlib.metadata
import math
import platform
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from parc_core import __version__
from parc_core.envs.terminations import FAILURES
from parc_core.evaluation.curves import LearningCurves, read_curves
from parc_core.evaluation.result import (
    COMPLETED,
    ClipResult,
    EvalResult,
    percent,
    percent_of_parts,
    summarize,
)
from parc_core.evaluation.svg import line_chart
from parc_core.system.files import PathLike, write_text

MAX_BARS = 60
"""More clips are shown by class, and as bars only the worst."""
MAX_ROWS = 3000
"""More clips are only in the JSON file."""
_COMPLETED_COLOUR = "#2f9e6e"
_PALETTE = ("#444", "#d64545", "#e08e2b", "#c9609c", "#8a63c9", "#2f8f9e", "#7d8f2b", "#a3673f")
"""Of the reasons for which clips are lost."""
_PACKAGES = ("torch", "mujoco", "mujoco-warp", "numpy", "prefect")
_UNITS = {"m": "m", "rad": "rad", "rad_s": "rad/s", "m_s": "m/s"}
_ERROR_TITLES = {
    "root_pos_m": "root position",
    "root_rot_rad": "root rotation",
    "body_pos_m": "body positions, relative to the root",
    "body_rot_rad": "body rotations",
    "dof_vel_rad_s": "joint velocities",
    "root_vel_m_s": "root velocity",
    "root_ang_vel_rad_s": "root angular velocity",
}


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
) -> None:
    """Writes the page.

    Args:
        path: of the HTML file.
        result: the evaluation.
        before: that of the policy that the training started from, on the same clips.
        training_dir: folder with log.txt or progress.jsonl, for the learning curves.
        video: GIF, becomes part of the page.
        video_note: said instead of it.
        settings: name -> text or mapping, shown at the end (configs, lineage).
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=_percent, number=_number)
    template = environment.from_string((Path(__file__).parent / "report.html.j2").read_text(encoding="utf-8"))
    earlier = {clip.name: clip for clip in before.clips} if before is not None else {}
    curves = read_curves(Path(training_dir)) if training_dir is not None else LearningCurves()
    write_text(
        path,
        template.render(
            title=title,
            written=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            summary=result.summary,
            before=before.summary if before is not None else None,
            charts=_charts(curves),
            video=_gif_uri(video),
            video_note=video_note,
            bars=_bars(result.clips, earlier),
            bars_hidden=max(len(result.clips) - MAX_BARS, 0),
            classes=_classes(result.clips, earlier) if len(result.clips) > MAX_BARS else [],
            reasons=_reasons(result),
            colours=_colours(),
            rows=[_row(clip, earlier.get(clip.name)) for clip in _worst_first(result.clips)[:MAX_ROWS]],
            rows_hidden=max(len(result.clips) - MAX_ROWS, 0),
            errors=_errors(result, before),
            held_out=_held_out(result, before),
            settings=_settings(result, settings),
        ),
    )


def _held_out(result: EvalResult, before: Optional[EvalResult]) -> Optional[Dict[str, Any]]:
    """What the page says of the clips that the training never saw."""
    if result.held_out is None:
        return None
    earlier = before.held_out if before is not None else None
    known = {clip.name: clip for clip in earlier.clips} if earlier is not None else {}
    clips = result.held_out.clips
    return {
        "summary": result.held_out.summary,
        "before": earlier.summary if earlier is not None else None,
        "bars": _bars(clips, known),
        "classes": _classes(clips, known) if len(clips) > MAX_BARS else [],
    }


def _worst_first(clips: List[ClipResult]) -> List[ClipResult]:
    return sorted(clips, key=lambda clip: (clip.completed_fraction, -clip.joint_error_m))


def _percent(value: Optional[float]) -> str:
    return "–" if value is None else _spaced(percent(value))


def _spaced(text: str) -> str:
    return text.replace("%", " %")


def _number(value: Optional[float], digits: int = 2) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:,.{digits}f}".replace("-", "−")


def _charts(curves: LearningCurves) -> Dict[str, List[Any]]:
    """The curves over samples and over time; none before there are two points."""
    if len(curves) < 2:
        return {}
    looks = {
        "Train_Return": ("Return per episode", lambda v: f"{v:.4g}"),
        "Train_Episode_Length": ("Steps per episode", lambda v: f"{v:.4g}"),
        "Completed": ("Episodes completed", _percent_of_axis),
    }
    minutes = max((h for h in curves.hours if math.isfinite(h)), default=0.0) < 2.0
    times = [60.0 * h for h in curves.hours] if minutes else curves.hours
    axes = {
        "samples": (curves.samples, "samples", _short),
        "time": (times, "minutes" if minutes else "hours", lambda v: f"{v:.4g}"),
    }
    return {
        name: [
            line_chart(x, curves.values[column], heading, label, text, value_text)
            for column, (heading, value_text) in looks.items()
            if column in curves.values
        ]
        for name, (x, label, text) in axes.items()
    }


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


def _bars(clips: List[ClipResult], earlier: Dict[str, ClipResult]) -> List[Dict[str, Any]]:
    """One bar per clip: all of them in the dataset's order, or the worst."""
    shown = clips if len(clips) <= MAX_BARS else _worst_first(clips)[:MAX_BARS]
    return [
        {
            "name": clip.name,
            "share": clip.shown_share,
            "before": earlier[clip.name].shown_share if clip.name in earlier else None,
            "reason": clip.end_reason,
            "style": _style(clip.end_reason),
        }
        for clip in shown
    ]


def _classes(clips: List[ClipResult], earlier: Dict[str, ClipResult]) -> List[Dict[str, Any]]:
    """Completed clips and tracked share of each class."""
    members: Dict[str, List[ClipResult]] = {}
    for clip in clips:
        members.setdefault(clip.motion_class or "no class", []).append(clip)
    return [
        {
            "name": name,
            "clips": len(group),
            "share": sum(clip.completed for clip in group) / len(group),
            "tracked": summarize(group).shown_tracked_share,
            "before": (
                sum(earlier[clip.name].completed for clip in group) / len(group)
                if all(clip.name in earlier for clip in group)
                else None
            ),
        }
        for name, group in sorted(members.items())
    ]


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
        {"name": name, "style": _style(name), "count": count, "share": share, "shown": _spaced(shown)}
        for (name, count), share, shown in zip(counts, shares, percent_of_parts(shares))
    ]


def _row(clip: ClipResult, before: Optional[ClipResult]) -> Dict[str, Any]:
    return {"clip": clip, "before": before, "style": _style(clip.end_reason)}


def _errors(result: EvalResult, before: Optional[EvalResult]) -> List[Dict[str, Any]]:
    earlier = before.summary.tracking_errors if before is not None else {}
    return [
        {
            "name": _ERROR_TITLES.get(name, name),
            "unit": next((unit for key, unit in _UNITS.items() if name.endswith(key)), ""),
            "value": value,
            "before": earlier.get(name),
        }
        for name, value in result.summary.tracking_errors.items()
    ]


def _settings(result: EvalResult, extra: Optional[Mapping[str, Any]]) -> Dict[str, str]:
    shown: Dict[str, Any] = {"evaluation": result.settings, "versions": versions(), **(extra or {})}
    return {name: _as_text(value) for name, value in shown.items()}


def versions() -> Dict[str, str]:
    """Versions of Python and of the packages that matter, as far as they are installed."""
    found = {"python": platform.python_version(), "parc-tracker": __version__}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def _gif_uri(path: Optional[PathLike]) -> Optional[str]:
    if path is None:
        return None
    return f"data:image/gif;base64,{base64.b64encode(Path(path).read_bytes()).decode('ascii')}"
