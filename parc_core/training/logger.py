"""What a training says: console table, log.txt, progress.jsonl and TensorBoard curves."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, TextIO, Union

from parc_core.errors import ConfigError
from parc_core.system.files import write_text
from parc_core.system.locks import try_lock

Number = Union[int, float]
COLUMN_WIDTH = 25
HEADER_EVERY = 20  # console lines between repeated headers
CONSOLE = (
    ("samples", "Samples", 13, "{:,.0f}"),
    ("iter", "Iteration", 8, "{:.0f}"),
    ("hours", "Wall_Time", 8, "{:.3f}"),
    ("return", "Train_Return", 9, "{:.2f}"),
    ("steps", "Train_Episode_Length", 8, "{:.1f}"),
    ("test ret", "Test_Return", 9, "{:.2f}"),
    ("actor", "Actor_Loss", 10, "{:.3g}"),
    ("critic", "Critic_Loss", 10, "{:.3g}"),
    ("clip", "Clip_Frac", 7, "{:.3f}"),
    ("samples/s", "Samples_Per_Second", 10, "{:,.0f}"),
)


class ProgressFile:
    """progress.jsonl: one JSON object per event, appended; it doubles as the lock of the output folder."""

    def __init__(self, path: Path) -> None:
        """Opens and locks the file.

        Raises:
            ConfigError: the folder cannot be written, or another training holds it.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = open(path, "a", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise ConfigError(
                f"output_dir {path.parent}: cannot be written ({error.strerror}); choose another"
            ) from error
        if not try_lock(self._file):
            self._file.close()
            raise ConfigError(
                f"output_dir {path.parent}: another training is writing here; wait for it or choose another"
            )
        self.last_time = 0.0
        self._end_torn_line()

    def _end_torn_line(self) -> None:
        """A process killed while writing leaves half a line, which would swallow the next event."""
        with open(self.path, "rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return
            file.seek(-1, os.SEEK_END)
            torn = file.read() != b"\n"
        if torn:
            self._file.write("\n")
            self._file.flush()

    def write(self, event: str, samples: Optional[int], iteration: Optional[int], **fields: Any) -> None:
        """Appends one event; numbers that JSON lacks (NaN) become null."""
        self.last_time = time.time()
        record = {"event": event, "time": self.last_time, "samples": samples, "iteration": iteration}
        record.update({key: _json_number(value) for key, value in fields.items()})
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file, which gives the folder free."""
        self._file.close()


class LogTable:
    """log.txt: one header line and one line per output, 25 characters a column, as PARC's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: List[str] = []
        self._rows: List[str] = []
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            self._columns = lines[0].split() if lines else []
            self._rows = [line for line in lines[1:] if line.strip()]

    def add(self, row: Mapping[str, Number]) -> None:
        """Appends one line; the columns are those of the first."""
        if not self._rows:
            self._columns = list(row)
        self._rows.append(_pad(_text(row.get(name, math.nan)) for name in self._columns))
        self._write()

    def drop_after(self, samples: int) -> None:
        """Removes lines of more than `samples` samples, for a continuation from an older state."""
        if "Samples" not in self._columns:
            self._rows = []
            return
        at = self._columns.index("Samples")
        kept = [row for row in self._rows if _samples_of(row, at) <= samples]
        if len(kept) != len(self._rows):
            self._rows = kept
            self._write()

    def _write(self) -> None:
        write_text(self._path, "\n".join([_pad(self._columns), *self._rows]) + "\n")


class Console:
    """A plain table on standard output."""

    def __init__(self) -> None:
        self._lines = 0

    def row(self, values: Mapping[str, Number]) -> None:
        """Prints one line, the header before it now and then."""
        if self._lines % HEADER_EVERY == 0:
            print(" ".join(title.rjust(width) for title, _, width, _ in CONSOLE))
        cells = []
        for _, name, width, form in CONSOLE:
            value = values.get(name, math.nan)
            cells.append((form.format(value) if math.isfinite(value) else "-").rjust(width))
        print(" ".join(cells), flush=True)
        self._lines += 1

    @staticmethod
    def say(text: str) -> None:
        """Prints one line of text."""
        print(text, flush=True)

    @staticmethod
    def warn(text: str) -> None:
        """Prints one line of warning on standard error."""
        print(f"warning: {text}", file=sys.stderr, flush=True)


class Curves:
    """TensorBoard event files, where the package is installed."""

    def __init__(self, folder: Optional[Path], purge_step: int, say) -> None:
        self._writer: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            say("no TensorBoard curves: the package tensorboard is not installed (log.txt has the numbers)")
            return
        self._writer = SummaryWriter(str(folder), purge_step=purge_step if purge_step else None)

    def add(self, values: Mapping[str, Number], samples: int) -> None:
        """One point per curve; NaN leaves it out."""
        if self._writer is None:
            return
        for name, value in values.items():
            if name != "Samples" and math.isfinite(value):
                self._writer.add_scalar(name, value, samples)
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left."""
        if self._writer is not None:
            self._writer.close()


class Logger:
    """All of them under one roof."""

    def __init__(
        self, output_dir: Path, progress: ProgressFile, tensorboard: bool, start_samples: int
    ) -> None:
        self.console = Console()
        self.progress = progress
        self._table = LogTable(output_dir / "log.txt")
        self._table.drop_after(start_samples)
        folder = output_dir / "tensorboard" if tensorboard else None
        self._curves = Curves(folder, start_samples, self.console.say)

    def output(self, row: Dict[str, Number]) -> None:
        """One output iteration, to every place."""
        self.console.row(row)
        self._table.add(row)
        self.progress.write("output", int(row["Samples"]), int(row["Iteration"]), **row)
        self._curves.add(row, int(row["Samples"]))

    def rolled_back(self, samples: int) -> None:
        """Forgets the lines of the path that was given up."""
        self._table.drop_after(samples)

    def close(self) -> None:
        """Closes the curves; the progress file stays with its owner."""
        self._curves.close()


def _json_number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Number) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _pad(cells) -> str:
    return "".join(cell.ljust(COLUMN_WIDTH) for cell in cells).rstrip()


def _samples_of(row: str, column: int) -> float:
    cells = row.split()
    try:
        return float(cells[column])
    except (IndexError, ValueError):
        return math.inf  # a damaged line is no line
