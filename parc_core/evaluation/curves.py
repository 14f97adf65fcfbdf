"""Learning curves of a training folder, from log.txt or else progress.jsonl."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Sequence

COLUMNS = ("Train_Return", "Train_Episode_Length", "Completed")


@dataclass(frozen=True)
class LearningCurves:
    """P points in order of samples; NaN where a value is missing."""

    samples: List[float] = field(default_factory=list)
    hours: List[float] = field(default_factory=list)
    """Wall-clock time of the training."""
    values: Dict[str, List[float]] = field(default_factory=dict)
    """The columns that were asked for and that the training wrote."""

    def __len__(self) -> int:
        return len(self.samples)


def read_curves(folder: Path, columns: Sequence[str] = COLUMNS) -> LearningCurves:
    """These columns of an output folder's log; empty where it holds none. Damaged lines are skipped."""
    rows = _rows_of_log(folder / "log.txt") or _rows_of_progress(folder / "progress.jsonl")
    rows = [row for row in rows if math.isfinite(row.get("Samples", math.nan))]
    names = [name for name in columns if any(math.isfinite(row.get(name, math.nan)) for row in rows)]
    return LearningCurves(
        samples=[row["Samples"] for row in rows],
        hours=[row.get("Wall_Time", math.nan) for row in rows],
        values={name: [row.get(name, math.nan) for row in rows] for name in names},
    )


def _rows_of_log(path: Path) -> List[Dict[str, float]]:
    lines = _lines(path)
    if not lines:
        return []
    names = lines[0].split()
    cells = [line.split() for line in lines[1:]]
    return [dict(zip(names, map(_number, row))) for row in cells if len(row) == len(names)]


def _rows_of_progress(path: Path) -> List[Dict[str, float]]:
    """Output events; what a rollback or a continuation from an older checkpoint repeated counts once."""
    rows: List[Dict[str, float]] = []
    for line in _lines(path):
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the line that was being written when the process died
        if not isinstance(event, dict) or event.get("event") != "output":
            continue
        row = {key: _number(value) for key, value in event.items()}
        row["Samples"] = row.get("Samples", row.get("samples", math.nan))
        while rows and rows[-1]["Samples"] >= row["Samples"]:
            rows.pop()
        rows.append(row)
    return rows


def _lines(path: Path) -> List[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
