"""`python -m benchmarks fuzz --count 10000`: broken and hostile files for every reader, the same for the same seed.

What a reader may do with any bytes: give a value, or an error of ours (`ParcError`, of one line), within a budget of
time and memory. A child process reads them, so that a hang or an exhausted memory is a line of the table, too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import signal
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from rich.markup import escape
from rich.table import Table

from benchmarks.fuzz_cases import cases
from benchmarks.fuzz_readers import READERS
from parc_core.errors import ParcError
from parc_tracker.tables import print_table

BUDGET_S = 5.0
"""Of one input."""
MEMORY = 4 << 30
"""Bytes of address space that a reader may take beyond what the process has."""
OUTCOMES = ("value", "refused", "raw traceback", "over budget", "executed")
_TRAP = "executed"  # the file that code of a hostile pickle would make


class _TooLong(BaseException):
    """The budget of time is used up."""


def _alarm(*_: Any) -> None:
    raise _TooLong


def outcome(name: str, data: bytes, folder: Path) -> Tuple[str, str]:
    """What a reader makes of an input: one of `OUTCOMES`, and the error's class and beginning."""
    path = folder / READERS[name][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, BUDGET_S)
    try:
        READERS[name][1](path)
        found = "value", ""
    except ParcError as error:
        found = (
            ("refused" if len(str(error)) < 5000 and "\n" not in str(error) else "raw traceback"),
            str(error)[:200],
        )
    except (_TooLong, MemoryError) as error:
        found = "over budget", type(error).__name__
    except Exception as error:  # noqa: BLE001 - whatever else it is, it is what is looked for
        found = "raw traceback", f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        path.unlink()
    return found


def _work(seed: int, count: int, first: int, folder: Path, answers: Any) -> None:
    """Reads the inputs from number `first` on; says before each which it is."""
    warnings.simplefilter("ignore")
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    for number, (name, data) in enumerate(cases(seed, count, folder / _TRAP)):
        if number >= first:
            answers.send((number, name, None))
            answers.send((number, name, outcome(name, data, folder)))
    answers.send(None)


def measure(seed: int, count: int) -> List[Dict[str, Any]]:
    """The outcome of each input: `number`, `reader`, `outcome`, `error`."""
    context = multiprocessing.get_context("fork")
    rows: List[Dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while len(rows) < count:
            theirs, ours = context.Pipe(duplex=True)
            child = context.Process(target=_work, args=(seed, count, len(rows), folder, theirs), daemon=True)
            child.start()
            theirs.close()
            found = _answers(ours)
            child.kill()
            child.join()
            if not found:
                raise RuntimeError(f"no answer for input {len(rows)}: the harness itself has failed")
            rows += found
        if (folder / _TRAP).exists():
            rows[-1] = {**rows[-1], "outcome": "executed", "error": "code of an input ran"}
    return rows


def _answers(pipe: Any) -> List[Dict[str, Any]]:
    """Of one child, until it is done, dies, or is silent for too long; what it was at then is over budget."""
    rows: List[Dict[str, Any]] = []
    at: Optional[Tuple[int, str]] = None
    while True:
        try:
            answer: Any = pipe.recv() if pipe.poll(4 * BUDGET_S) else EOFError
        except EOFError:
            answer = EOFError
        if answer is EOFError:
            if at is not None:
                rows.append(_row(*at, "over budget", "hung, or died"))
            return rows
        if answer is None:
            return rows
        number, name, found = answer
        at = (number, name) if found is None else None
        if found is not None:
            rows.append(_row(number, name, *found))


def _row(number: int, name: str, found: str, error: str) -> Dict[str, Any]:
    return {"number": number, "reader": name, "outcome": found, "error": error}


def table(rows: List[Dict[str, Any]]) -> Table:
    """Counts of outcomes by reader."""
    shown = Table(title=f"{len(rows):,} hostile and broken inputs")
    shown.add_column("reader")
    for name in OUTCOMES:
        shown.add_column(name, justify="right")
    for reader in [*READERS, "all"]:
        counts = Counter(row["outcome"] for row in rows if reader in (row["reader"], "all"))
        shown.add_row(reader, *(f"{counts[name]:,}" for name in OUTCOMES))
    return shown


def main(argv: Sequence[str]) -> None:
    """Prints the table, and what fell short."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="inputs, spread over all readers")
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    args = parser.parse_args(argv)
    start = time.monotonic()
    rows = measure(args.seed, args.count)
    print_table(table(rows))
    short = [row for row in rows if row["outcome"] not in ("value", "refused")]
    for row in short[:50]:
        print(f"{row['number']} {row['reader']}: {row['outcome']}: {escape(row['error'])}")
    print(f"{time.monotonic() - start:.0f} s")
    raise SystemExit(1 if short else 0)
