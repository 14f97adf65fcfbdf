"""Learning curves of a training folder, from log.txt or else progress.jsonl."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence

from parc_core.training.history import LOG, PROGRESS, read_outputs, read_table

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
    rows = read_table(folder / LOG) or read_outputs(folder / PROGRESS)
    names = [name for name in columns if any(math.isfinite(row.get(name, math.nan)) for row in rows)]
    return LearningCurves(
        samples=[row["Samples"] for row in rows],
        hours=[row.get("Wall_Time", math.nan) for row in rows],
        values={name: [row.get(name, math.nan) for row in rows] for name in names},
    )
