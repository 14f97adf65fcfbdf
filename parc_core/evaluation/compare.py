"""Several evaluations beside each other: headline numbers, classes, and where single clips differ from the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

from parc_core.errors import DataError
from parc_core.evaluation.page import render, without_places
from parc_core.evaluation.report_data import MEASURE_TITLES, RULE_TITLES
from parc_core.evaluation.result import ClipResult, EvalResult
from parc_core.evaluation.statistics import by_class, describe, mean_of, statistics
from parc_core.system.files import PathLike, write_text

MAX_ROWS = 3000


@dataclass(frozen=True)
class Compared:
    """M models on the clips that all of them were evaluated on; the first is what the others are compared with."""

    labels: List[str]
    statistics: List[Dict[str, Any]]
    """Of each model over the common clips, see `statistics.statistics`."""
    changes: List[Dict[str, Any]]
    """Of each further model: `gained` and `lost` (clips completed now or no more), `tracked` and `error` (mean
    differences with intervals; errors where both were tracked)."""
    clips: List[List[ClipResult]]
    """One list of M results for each clip, those that differ most first."""
    note: str
    """What makes the comparison unequal, or ""."""


def compare(labels: Sequence[str], results: Sequence[EvalResult]) -> Compared:
    """Compares at least two evaluations.

    Raises:
        DataError: they have no clip in common.
    """
    known = [{clip.name: clip for clip in result.clips} for result in results]
    names = [clip.name for clip in results[0].clips if all(clip.name in other for other in known)]
    if not names:
        raise DataError(f"{', '.join(labels)}: no clip was evaluated with all of them")
    clips = [[own[name] for own in known] for name in dict.fromkeys(names)]
    columns = [[row[k] for row in clips] for k in range(len(results))]
    return Compared(
        list(labels),
        [statistics(column) for column in columns],
        [_change(columns[0], column) for column in columns[1:]],
        sorted(clips, key=_difference, reverse=True),
        _note(results, len(clips)),
    )


def _note(results: Sequence[EvalResult], common: int) -> str:
    sets = {result.summary.evaluation_set for result in results}
    if len(sets) == 1 and all(len(result.clips) == common for result in results):
        return ""
    counts = " and ".join(str(len(result.clips)) for result in results)
    return f"Not evaluated on the same clips and limits ({counts} clips): the {common} of the same names are compared."


def _difference(row: List[ClipResult]) -> Any:
    shares = [clip.completed_fraction for clip in row]
    errors = [clip.joint_error_m for clip in row]
    return (max(shares) - min(shares), max(errors) - min(errors))


def _change(first: Sequence[ClipResult], other: Sequence[ClipResult]) -> Dict[str, Any]:
    pairs = list(zip(first, other))
    both = [(a, b) for a, b in pairs if a.completed and b.completed]
    return {
        "gained": sum(b.completed and not a.completed for a, b in pairs),
        "lost": sum(a.completed and not b.completed for a, b in pairs),
        "tracked": mean_of([b.completed_fraction - a.completed_fraction for a, b in pairs]),
        "error": mean_of([b.joint_error_m - a.joint_error_m for a, b in both]),
    }


def write_comparison(path: PathLike, compared: Compared, title: str = "Comparison") -> None:
    """Writes the page: one HTML file that needs no other."""
    text = render(
        "compare",
        title=title,
        labels=[without_places(label) for label in compared.labels],
        rows=_rows(compared),
        changes=compared.changes,
        classes=_classes(compared),
        clips=[_clip(row) for row in compared.clips[:MAX_ROWS]],
        hidden=max(len(compared.clips) - MAX_ROWS, 0),
        count=len(compared.clips),
        note=compared.note,
    )
    write_text(path, text)


def _rows(compared: Compared) -> List[Dict[str, Any]]:
    """Headline numbers: name, unit, whether a share, and one part of the statistics per model."""
    overall = [found["overall"] for found in compared.statistics]

    def row(name: str, unit: str, parts: List[Optional[Dict[str, Any]]]) -> Dict[str, Any]:
        return {"name": name, "unit": unit, "parts": parts}

    rows = [row("clips completed", "", [found["completed"] for found in overall])]
    for rule, title in RULE_TITLES.items():
        if rule != "last_frame":
            rows.append(row(title, "", [found["success"].get(rule) for found in overall]))
    starts = [found.get("random_starts") for found in overall]
    rows.append(row("completed from random starts", "", [part and part["completed"] for part in starts]))
    rows.append(row("tracked share", "", [found["completed_fraction"] for found in overall]))
    completed = [found["joint_error_completed_m"] for found in overall]
    rows.append(row("joint error of completed clips", "m", completed))
    rows.append(row("joint error while tracked", "m", [found["joint_error_m"] for found in overall]))
    rows.append(row("return", "", [found["episode_return"] for found in overall]))
    for key, (title, unit) in MEASURE_TITLES.items():
        rows.append(row(title, unit, [found["measures"].get(key) for found in overall]))
    return [one for one in rows if any(part is not None for part in one["parts"])]


def _classes(compared: Compared) -> List[Dict[str, Any]]:
    columns = [by_class([row[k] for row in compared.clips]) for k in range(len(compared.labels))]
    return [
        {"name": name, "clips": len(group), "parts": [describe(own[name])["completed"] for own in columns]}
        for name, group in columns[0].items()
        if all(name in own for own in columns)
    ]


def _clip(row: List[ClipResult]) -> Dict[str, Any]:
    first = row[0]
    return {
        "name": first.name,
        "cells": [
            {
                "clip": clip,
                "change": clip.completed_fraction - first.completed_fraction,
                "error_change": clip.joint_error_m - first.joint_error_m,
            }
            for clip in row
        ],
    }
