"""What a training has said so far: one row per output, from `log.txt` and `progress.jsonl`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict, List, Union

from parc_core.system import json_text

Number = Union[int, float]
Row = Dict[str, Number]
"""The values of one output by their column; NaN is what was not measured."""

LOG, PROGRESS = "log.txt", "progress.jsonl"
_LARGEST = 2**63
_OF_EVENTS = ("event", "time", "samples", "iteration")  # beside the columns


def read_history(folder: Path, samples: float = math.inf) -> List[Row]:
    """All outputs of a training's folder that still count, up to `samples`, in their order.

    The events have all columns and digits; the table is what counts where they disagree, for it comes along with a
    checkpoint from another machine.
    """
    rows = {row["Samples"]: row for row in read_table(folder / LOG)}
    for row in read_outputs(folder / PROGRESS):
        told = rows.get(row["Samples"], {})
        if agree(told, row):
            rows[row["Samples"]] = {**told, **row}
    return [rows[count] for count in sorted(rows) if count <= samples]


def read_table(path: Path) -> List[Row]:
    """The lines of a `log.txt`; damaged ones are left out."""
    lines = _lines(path)
    names = lines[0].split() if lines else []
    cells = [line.split() for line in lines[1:]]
    rows = [dict(zip(names, map(_number, row))) for row in cells if len(row) == len(names)]
    return [row for row in rows if math.isfinite(row.get("Samples", math.nan))]


def read_outputs(path: Path) -> List[Row]:
    """The outputs of a `progress.jsonl` that count: what a start or a rollback went behind is given up.

    So is what an output repeats; damaged lines are left out.
    """
    rows: List[Row] = []
    for event in map(_parsed, _lines(path)):
        kind, samples = event.get("event"), _number(event.get("samples"))
        if kind in ("start", "rollback"):
            _drop(rows, samples + 1)
        elif kind in ("output", "restored"):
            row = {key: _number(value) for key, value in event.items() if key not in _OF_EVENTS}
            row.setdefault("Samples", samples)
            if math.isfinite(row["Samples"]):
                _drop(rows, row["Samples"])
                rows.append(row)
    return rows


def agree(one: Row, other: Row) -> bool:
    """Whether two rows are the same in the columns that both have, to the digits of the table."""
    return all(as_text(one[name]) == as_text(other[name]) for name in one if name in other)


def as_text(value: Number) -> str:
    """A value in the table."""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _drop(rows: List[Row], samples: Number) -> None:
    """Removes the rows from so many samples on; NaN removes none."""
    while rows and rows[-1]["Samples"] >= samples:
        rows.pop()


def _lines(path: Path) -> List[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def _parsed(line: str) -> Dict[str, Any]:
    """Nothing for the line that was being written when the process died."""
    try:
        event = json_text.parse(line)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _number(value: Any) -> Number:
    if isinstance(value, (int, float)):
        return value if abs(value) < _LARGEST else math.nan
    try:
        return _number(int(value)) if value.isdigit() else float(value)
    except (AttributeError, ValueError):  # null, text
        return math.nan
