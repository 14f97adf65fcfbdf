"""One page on a model: headline numbers, video, learning curves, every clip, settings; needs no other file."""

from __future__ import annotations

import base64
import datetime
import importlib.metadata
import platform
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from markupsafe import Markup

from parc_core import __version__
from parc_core.evaluation.curves import LearningCurves, read_curves
from parc_core.evaluation.page import as_text, render, without_places
from parc_core.evaluation.report_charts import CHARTS, clip_histograms, learning_charts
from parc_core.evaluation.report_data import RULE_TITLES, card_places, details
from parc_core.evaluation.report_tables import (
    class_rows,
    clip_bars,
    clip_card,
    clip_row,
    end_reasons,
    error_rows,
    measure_rows,
    style_colours,
)
from parc_core.evaluation.result import EvalResult, worst_first
from parc_core.evaluation.statistics import statistics
from parc_core.system.files import PathLike, write_text

MAX_BARS = 60
"""More clips are shown by class and as distributions, not each as a bar."""
MAX_ROWS = 3000
"""More clips are only in the JSON file."""
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
        curves = read_curves(Path(training_dir), [name for chart in CHARTS for name in (chart[0], *chart[3])])
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
        charts=learning_charts(curves),
        video=_gif_uri(video),
        video_note=video_note,
        bars=[] if many else clip_bars(clips, earlier),
        histograms=clip_histograms(clips) if many else [],
        classes=class_rows(found["classes"], clips, earlier),
        many=many,
        reasons=end_reasons(result),
        colours=style_colours(),
        cards=[clip_card(clips[k], order.index(k), scenes or {}) for k in cards],
        lost=sum(not clip.completed for clip in clips),
        player=Markup(player),
        rows=[clip_row(clips[k], earlier.get(clips[k].name)) for k in order],
        rows_hidden=max(len(clips) - MAX_ROWS, 0),
        details=details(result, order),
        errors=error_rows(result, before, found["overall"]),
        measures=measure_rows(found["overall"]),
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
        "bars": clip_bars(clips, known)[:MAX_BARS],
        "classes": class_rows(statistics(clips)["classes"], clips, known) if many else [],
    }


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
