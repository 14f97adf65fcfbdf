"""What a training says: console table, log.txt, progress.jsonl and TensorBoard curves."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, TextIO, Union

from parc_core.errors import ConfigError
from parc_core.system.files import unwritable, write_text
from parc_core.system.locks import try_lock
from parc_core.training.curves import TENSORBOARD, Curves, HyperParameters
from parc_core.training.history import LOG, PROGRESS, Number, Row, agree, as_text, read_history, read_outputs
from parc_core.training.wandb_run import WandbNames, WandbRun

COLUMN_WIDTH = 25
HEADER_EVERY = 20  # console lines between repeated headers
_NOTHING: Row = {"Samples": math.nan}
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

    def __init__(self, path: Path, wait: float = 0.0) -> None:
        """Opens and locks the file.

        Args:
            path: of the file.
            wait: seconds for another training that holds it to end.

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
        end = time.monotonic() + wait
        while not try_lock(self._file):
            if time.monotonic() < end:
                time.sleep(0.1)
                continue
            self._file.close()
            raise ConfigError(
                f"output_dir {path.parent}: another training is writing here; wait for it or choose another"
            )
        self.written_at = -math.inf
        """When the last event was written, by `time.monotonic`."""
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
        """Appends one event; numbers that JSON lacks (NaN) become null.

        Raises:
            ConfigError: the disk is full.
        """
        self.written_at = time.monotonic()
        record = {"event": event, "time": time.time(), "samples": samples, "iteration": iteration}
        record.update({key: _json_number(value) for key, value in fields.items()})
        try:
            self._file.write(json.dumps(record, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def check_place(self) -> None:
        """Looks whether the folder is where it was: what is written now would go to another one.

        Raises:
            ConfigError: it was moved or removed.
        """
        try:
            there: Optional[os.stat_result] = os.stat(self.path)
        except OSError:
            there = None
        if there is None or not os.path.samestat(there, os.fstat(self._file.fileno())):
            raise ConfigError(
                f"output_dir {self.path.parent}: was moved or removed while training; move it back and start again: "
                "training goes on from its last checkpoint"
            )

    def close(self) -> None:
        """Closes the file, which gives the folder free."""
        self._file.close()


class NoProgress(ProgressFile):
    """Of a process that does not write."""

    def __init__(self, path: Path) -> None:
        """Opens nothing; `path` is where another process writes."""
        self.path, self.written_at = path, -math.inf

    def write(self, event: str, samples: Optional[int], iteration: Optional[int], **fields: Any) -> None:
        """Only notes the time."""
        self.written_at = time.monotonic()

    def check_place(self) -> None:
        """Looks at nothing."""

    def close(self) -> None:
        """There is nothing to close."""


def append_error(path: Path, message: str, kind: str) -> None:
    """Adds the event that ends a training, also from a process or thread that does not hold the file."""
    record = {"event": "error", "time": time.time(), "samples": None, "iteration": None}
    line = json.dumps({**record, "message": message, "kind": kind}) + "\n"
    with contextlib.suppress(OSError), open(
        path, "a", encoding="utf-8"
    ) as file:  # a full disk: the exit code tells
        file.write(line)


class LogTable:
    """log.txt: one header line and one line per output, 25 characters a column, as PARC's.

    A column that is new gets NaN in the lines before, one that is no longer measured in those to come.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: List[str] = []
        self._rows: List[Row] = []
        self._lines: List[str] = []

    def start(self, rows: Sequence[Row]) -> None:
        """Holds these lines and no others from here on."""
        self._columns, self._rows = [], list(rows)
        for row in rows:
            self._columns = _with_columns(self._columns, row)
        self._lines = [self._line(row) for row in rows]
        if rows or self._path.is_file():
            self._write()

    def add(self, row: Row) -> None:
        """Appends one line."""
        columns = _with_columns(self._columns, row)
        self._rows.append(dict(row))
        if columns == self._columns:
            self._lines.append(self._line(row))
        else:
            self._columns = columns
            self._lines = [self._line(each) for each in self._rows]
        self._write()

    def _line(self, row: Row) -> str:
        return _pad(as_text(row.get(name, math.nan)) for name in self._columns)

    def _write(self) -> None:
        write_text(self._path, "\n".join([_pad(self._columns), *self._lines]) + "\n")


class Console:
    """A plain table on standard output."""

    def __init__(self, terms: Sequence[str] = ()) -> None:
        """Args:
        terms: columns of the reward's terms, which come last, where there are any.
        """
        self._terms, self._lines = terms, 0

    def row(self, values: Mapping[str, Number]) -> None:
        """Prints one line, the header before it now and then."""
        columns = [*CONSOLE, *((name, name, len(name), "{:.3f}") for name in self._terms if name in values)]
        if self._lines % HEADER_EVERY == 0:
            print(" ".join(title.rjust(width) for title, _, width, _ in columns))
        cells = []
        for _, name, width, form in columns:
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


class Logger:
    """All of them under one roof: table, curves and events have the same outputs, whatever happened before."""

    def __init__(
        self,
        output_dir: Path,
        progress: ProgressFile,
        tensorboard: bool,
        start_samples: int,
        terms: Sequence[str] = (),
        settings: Optional[HyperParameters] = None,
        wandb: Optional[WandbNames] = None,
    ) -> None:
        """Brings the three in line with each other and with a training that is at `start_samples`.

        Args:
            progress: the locked progress file of `output_dir`.
            tensorboard: whether to write curves.
            start_samples: outputs beyond them are given up.
            terms: columns of the reward's terms.
            settings: of the training, for TensorBoard.
            wandb: where its curves go at Weights & Biases, if they shall.
        """
        self.console = Console(terms)
        self.progress = progress
        self._table = LogTable(output_dir / LOG)
        self._curves: List[Union[Curves, WandbRun]] = [
            Curves(output_dir / TENSORBOARD if tensorboard else None, self.console.say, settings)
        ]
        if wandb is not None:
            self._curves.append(WandbRun(output_dir, wandb, self.console.warn, settings or {}))
        self._rows = read_history(output_dir, start_samples)
        self._restore_events(read_outputs(output_dir / PROGRESS))
        self._table.start(self._rows)
        for curves in self._curves:
            curves.start(self._rows)

    def _restore_events(self, known: Sequence[Row]) -> None:
        """Repeats outputs that came with a checkpoint from another machine, and what follows them."""
        events = {row["Samples"]: row for row in known}
        untold = [not agree(row, events.get(row["Samples"], _NOTHING)) for row in self._rows]
        first = untold.index(True) if any(untold) else len(untold)
        for row in self._rows[first:]:
            self.progress.write("restored", None, None, **row)

    def output(self, row: Dict[str, Number]) -> None:
        """One output iteration, to every place.

        Raises:
            ConfigError: the output folder is no longer there, or its disk is full.
        """
        self.progress.check_place()
        self.console.row(row)
        self._rows.append(dict(row))
        self.progress.write("output", int(row["Samples"]), int(row["Iteration"]), **row)
        self._table.add(row)
        for curves in self._curves:
            curves.add(row)

    def rolled_back(self, samples: int) -> None:
        """Forgets the outputs of the path that was given up."""
        self._rows = [row for row in self._rows if row["Samples"] <= samples]
        self._table.start(self._rows)
        for curves in self._curves:
            curves.start(self._rows)

    def close(self) -> None:
        """Closes the curves; the progress file stays with its owner."""
        for curves in self._curves:
            curves.close()


def _with_columns(columns: List[str], row: Row) -> List[str]:
    """The columns, and in the order of the row where it has others."""
    if all(name in columns for name in row):
        return columns
    return [*row, *(name for name in columns if name not in row)]


def _json_number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _pad(cells) -> str:
    return "".join(cell.ljust(COLUMN_WIDTH) for cell in cells).rstrip()
