"""What `parc-tracker convert` says at its end: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table

from parc_core.errors import DataError
from parc_core.motion.retarget.measures import Measures
from parc_core.system.files import atomic_write, printable_name
from parc_tracker.convert_captures import CapturedClip, numbers, row
from parc_tracker.next_steps import after_captures, say_next
from parc_tracker.tables import cell, print_json, print_table

_FEW = 40  # clips that a table shows one by one
_HEADINGS = {
    "seconds": "length s",
    "foot_skating_m_s": "skating m/s",
    "penetration_mean_m": "penetration m",
    "penetration_max_m": "at most m",
    "limit_share": "beyond range",
    "limit_rad": "by rad",
    "velocity_jump_m_s": "velocity jump m/s",
    "jerk_m_s3": "jerk m/s³",
    "off_free_fall_m": "off free fall m",
}


class Report:
    """Collects what happened to each file."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.converted = 0
        """Files of the character's own motions that were written."""
        self.notes: list[str] = []
        self.refused: list[str] = []
        """One line each."""
        self._rows: list[dict[str, Any]] = []
        self._kept: list[Measures] = []

    def add(self, place: Path, source: str, clip: CapturedClip) -> None:
        """A clip of motion capture."""
        name = printable_name(str(place.relative_to(self._out).with_suffix("")))
        self._rows.append(row(name, source, clip))
        if not clip.reason:
            self._kept.append(clip.measures)

    def write_csv(self, path: Path) -> None:
        """One line per clip of motion capture."""
        text = io.StringIO()
        fields = ["clip", "source", "verdict", "reason", *Measures.__dataclass_fields__]
        writer = csv.DictWriter(text, fields)
        writer.writeheader()
        writer.writerows(self._rows)
        with atomic_write(path, "w") as file:
            file.write(text.getvalue())

    def show(self, as_json: bool, files: int) -> None:
        """Prints it all.

        Raises:
            DataError: files were refused, or every clip was rejected.
        """
        written = self.converted + len(self._kept)
        if as_json:
            print_json(self._json())
        else:
            for line in self.notes:
                print(line)
            if self._rows:
                print_table(self._table() if len(self._rows) <= _FEW else self._summary())
                self._say_rejected()
            print(f"{written} {self._what(files)} in {printable_name(str(self._out))}")
            for line in self.refused[1:]:
                print(f"skipped: {line}")
            if self._kept and not self.refused:
                say_next(after_captures(self._out))
        if self.refused:
            others = f" (and {len(self.refused) - 1} more)" if len(self.refused) > 1 else ""
            raise DataError(f"{self.refused[0]}{others}")
        if not written:
            first = self._rows[0]
            raise DataError(f"all {len(self._rows)} clips were rejected: {first['clip']}: {first['reason']}")

    def _what(self, files: int) -> str:
        if not self._rows:
            return f"of {files} motions"
        rejected = len(self._rows) - len(self._kept)
        return f"clips of {files} files ({rejected} rejected, {len(self.refused)} files refused)"

    def _say_rejected(self) -> None:
        rejected = [found for found in self._rows if found["reason"]]
        for kind, count in Counter(_kind(found["reason"]) for found in rejected).most_common():
            print(f"rejected for {kind}: {count}")
        for found in rejected[:_FEW]:
            print(f"rejected: {found['clip']}: {found['reason']}")
        if len(rejected) > _FEW:
            print(f"… and {len(rejected) - _FEW} more (--csv and --json have all)")

    def _json(self) -> dict[str, Any]:
        return {
            "clips": self._rows,
            "kept": len(self._kept),
            "rejected": dict(Counter(_kind(found["reason"]) for found in self._rows if found["reason"])),
            "refused": self.refused,
            "converted": self.converted,
            "notes": self.notes,
            "numbers": numbers(self._kept),
            "out": printable_name(str(self._out)),
        }

    def _table(self) -> Table:
        table = Table("clip", "verdict")
        for heading in _HEADINGS.values():
            table.add_column(heading, justify="right")
        for found in self._rows:
            values = [_shown(name, found[name]) for name in _HEADINGS]
            table.add_row(cell(found["clip"]), found["verdict"], *values)
        return table

    def _summary(self) -> Table:
        seconds = sum(clip.seconds for clip in self._kept)
        table = Table("", title=f"{len(self._kept)} kept clips, {seconds:.0f} s")
        for heading in ("median", "95 %", "max"):
            table.add_column(heading, justify="right")
        for name, values in numbers(self._kept).items():
            table.add_row(_HEADINGS[name], *(_shown(name, value) for value in values.values()))
        return table


def _kind(reason: str) -> str:
    """The measure that a reason names, or the reason of a motion that cannot be."""
    first = reason.split(" ", 1)[0]
    return (
        first if first in _HEADINGS else ("length" if reason.startswith("it lasts") else "being implausible")
    )


def _shown(name: str, value: float) -> str:
    if name == "limit_share":
        return f"{100 * value:.1f} %"
    digits = 0 if name == "jerk_m_s3" else (3 if name.endswith("_m") else 2)
    return f"{value:.{digits}f}"
