"""Faults of a training of several processes: `python -m benchmarks faults --ranks 2 --faults 30`.

A supervisor starts a launcher, which starts the ranks (gloo, on the CPU). At random moments one of them gets SIGKILL,
SIGTERM or SIGSTOP; a supervisor that ends is started again, as a service manager does it. Counted for each fault:
seconds until all processes of that attempt are gone, seconds until a new one trains, samples that had to be trained
again.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.faults.account import newest_samples, samples_lost, starts
from benchmarks.faults.processes import alive, end_all, is_rank, send, trainers
from benchmarks.faults.scene import SAMPLES_BETWEEN_CHECKPOINTS, write_inputs
from benchmarks.scene import listing_of
from benchmarks.timing import machine, machine_line
from parc_core.supervisor.checkpoint_mirror import recorded_sha256
from parc_core.system.files import sha256_file, write_json
from parc_core.training.checkpoint import list_checkpoints
from parc_tracker.tables import print_table

FAULTS = {
    ("kill", "rank"): "SIGKILL of a rank",
    ("terminate", "rank"): "SIGTERM of a rank",
    ("stop", "rank"): "SIGSTOP of a rank",
    ("kill", "launcher"): "SIGKILL of the launcher",
    ("terminate", "launcher"): "SIGTERM of the launcher",
    ("stop", "launcher"): "SIGSTOP of the launcher, for a while",
    ("kill", "supervisor"): "SIGKILL of the supervisor",
    ("terminate", "supervisor"): "SIGTERM of the supervisor",
}
SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "stop": signal.SIGSTOP}
PAUSE = 25.0  # s for which a launcher is stopped: its ranks do without it
GONE = 30.0  # s that the processes of an attempt may take to leave
GONE_AT_MOST = 180.0  # s after which those that are still there are killed by us
START = 300.0  # s until a training (again) trains
END = 900.0  # s for what is left of a training after its last fault


class Training:
    """One training under a supervisor that is started again whenever it ends without being done."""

    def __init__(self, scratch: Path, number: int, ranks: int) -> None:
        self.folder, self._log, self._ranks = scratch / f"run_{number}", scratch / f"run_{number}.log", ranks
        config = yaml.safe_load((scratch / "tracker.yaml").read_text(encoding="utf-8"))
        del config["create_dataset_config"]
        dataset, tracker = scratch / "motions.yaml", scratch / f"tracker_{number}.yaml"
        tracker.write_text(
            yaml.safe_dump({**config, "dataset_file": str(dataset), "seed": number, "gpus": ranks})
        )
        module = [sys.executable, "-m", "benchmarks.faults.rank_supervisor"]
        self._command = [*module, str(tracker), str(dataset), str(self.folder)]
        self.progress = self.folder / "progress.jsonl"
        self.supervisor_starts = 0
        self._start()

    def _start(self) -> None:
        self.supervisor_starts += 1
        with open(self._log, "ab") as log:
            self.supervisor = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def tend(self) -> Optional[int]:
        """Starts a supervisor that has ended; 0 where the training is done."""
        code = self.supervisor.poll()
        if code not in (None, 0):
            self._start()
        return code if code == 0 else None

    def family(self) -> Dict[str, List[int]]:
        """Launchers and ranks that are there."""
        found: Dict[str, List[int]] = {"launcher": [], "rank": []}
        for pid in trainers(self.folder):
            found["rank" if is_rank(pid) else "launcher"].append(pid)
        return found

    def is_training(self, beyond: int, begun: int) -> bool:
        """Whether a start after the `begun`-th one, or that one, has made samples, and everybody is there."""
        family = self.family()
        whole = len(family["rank"]) == self._ranks and len(family["launcher"]) == 1
        return whole and len(starts(self.progress)) >= begun and newest_samples(self.progress) > beyond

    def until(self, samples: int, begun: int) -> bool:
        """Waits until `is_training`; False where it is done before.

        Raises:
            TimeoutError: neither.
        """
        deadline = time.monotonic() + START
        while not self.is_training(samples, begun):
            if self.tend() == 0:
                return False
            if time.monotonic() > deadline:
                raise TimeoutError(f"it does not train; see {self._log}")
            time.sleep(0.05)
        return True

    def until_done(self) -> bool:
        """Waits for the end; whether it is one."""
        deadline = time.monotonic() + END
        while time.monotonic() < deadline:
            if self.tend() == 0:
                return True
            time.sleep(0.1)
        return False

    def end(self) -> None:
        """Kills all that is there."""
        if self.supervisor.poll() is None:
            self.supervisor.kill()
        self.supervisor.wait()
        end_all(trainers(self.folder))


@contextlib.contextmanager
def _training(scratch: Path, number: int, ranks: int) -> Iterator[Training]:
    training = Training(scratch, number, ranks)
    try:
        yield training
    finally:
        training.end()


def run(args: argparse.Namespace) -> None:
    """Runs the benchmark; exit code 1 where something is as it must not be, see `problems`."""
    chance, console, scratch = random.Random(args.seed), Console(soft_wrap=True), args.scratch / "ranks"
    write_inputs(scratch, args.samples)
    listing_of(sorted((scratch / "motions").rglob("*.pkl")), scratch / "motions.yaml")
    plan = plan_faults(args.faults, args.ranks, chance)
    rows: List[Dict[str, Any]] = []
    trainings: List[Dict[str, Any]] = []
    while len(rows) < args.faults:
        with _training(scratch, len(trainings), args.ranks) as training:
            for _ in range(min(args.each, args.faults - len(rows))):
                row = _fault(training, plan[len(rows)], chance)
                if row is None:  # it was over before the fault
                    break
                rows.append(row)
                console.print(f"{len(rows)}: {_in_words(row)}", highlight=False)
            finished = training.until_done()
            trainings.append(_ended(training, finished, len(rows)))
        write_json(args.json, _content(args, rows, trainings))
        if not finished:
            break
    print_table(table(rows))
    failures = problems(rows, trainings)
    for line in [*_summary(rows, trainings), *failures]:
        console.print(line, highlight=False)
    console.print(f"{machine_line(machine())}. JSON: {args.json}")
    if failures:
        raise SystemExit(1)


def _content(args: argparse.Namespace, rows: List[Any], trainings: List[Any]) -> Dict[str, Any]:
    about = {"benchmark": "faults of ranks", "machine": machine(), "ranks": args.ranks}
    return {**about, "interval": SAMPLES_BETWEEN_CHECKPOINTS, "rows": rows, "trainings": trainings}


def plan_faults(count: int, ranks: int, chance: random.Random) -> List[Any]:
    """Every kind as often as any other, every rank in turn, in random order."""
    kinds = [(how, whom, 0) for how, whom in FAULTS if whom != "rank"]
    kinds += [(how, "rank", rank) for how in SIGNALS for rank in range(ranks)]
    plan = [kinds[number % len(kinds)] for number in range(count)]
    chance.shuffle(plan)
    return plan


def _fault(training: Training, what: Any, chance: random.Random) -> Optional[Dict[str, Any]]:
    """Harms the training at a random moment after it has a checkpoint, and looks what comes of it; None: too late."""
    how, whom, rank = what
    begun = max(1, len(starts(training.progress)))
    beyond = newest_samples(training.progress) + chance.randrange(512, 2 * SAMPLES_BETWEEN_CHECKPOINTS)
    if not training.until(beyond, begun):
        return None
    family = training.family()
    ranks = sorted(family["rank"], key=_rank_of)
    target = {"rank": ranks[rank], "launcher": family["launcher"][0], "supervisor": training.supervisor.pid}[
        whom
    ]
    lost_before, begun = samples_lost(training.progress)
    old = [*ranks, *family["launcher"]]
    began = time.monotonic()
    send(target, SIGNALS[how])
    goes_on = (how, whom) == ("stop", "launcher") and _goes_on(training, target, old)
    gone = None if goes_on else _until_gone(old, training, began)
    done = not training.until(0, begun + (not goes_on))
    lost, _ = samples_lost(training.progress)
    return {
        "how": how,
        "whom": whom,
        "rank": rank,
        "goes_on": goes_on,
        "gone_after": None if gone is None else round(gone, 1),
        "trains_after": None if done or goes_on else round(time.monotonic() - began, 1),
        "samples_lost": lost - lost_before,
    }


def _goes_on(training: Training, launcher: int, family: List[int]) -> bool:
    """Whether a training makes samples while its launcher is stopped, and all are there when that continues."""
    time.sleep(PAUSE / 2)
    then = newest_samples(training.progress)
    time.sleep(PAUSE / 2)
    moved = newest_samples(training.progress) > then
    send(launcher, signal.SIGCONT)
    time.sleep(2.0)
    return moved and (all(alive(pid) for pid in family) or training.supervisor.poll() == 0)


def _until_gone(pids: List[int], training: Training, began: float) -> Optional[float]:
    """Seconds until all of them are gone; None where they had to be killed."""
    while any(alive(pid) for pid in pids):
        training.tend()
        if time.monotonic() - began > GONE_AT_MOST:
            end_all(pids)
            return None
        time.sleep(0.05)
    return time.monotonic() - began


def _rank_of(pid: int) -> int:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(int(word[5:]) for word in words if word.startswith(b"RANK="))


def _ended(training: Training, finished: bool, faults: int) -> Dict[str, Any]:
    time.sleep(1.0)
    left = trainers(training.folder)
    found = list_checkpoints(training.folder / "checkpoints")
    damaged = [str(path) for _, path in found if recorded_sha256(path) != sha256_file(path)]
    return {
        "finished": finished,
        "faults_so_far": faults,
        "damaged": damaged,
        "left": len(left),
        "supervisor_starts": training.supervisor_starts,
        "trainer_starts": len(starts(training.progress)),
        "samples": newest_samples(training.progress),
    }


def problems(rows: List[Dict[str, Any]], trainings: List[Dict[str, Any]]) -> List[str]:
    """What must not be, one line each."""
    found = [f"{_in_words(row)}: more than a checkpoint's interval lost" for row in rows if _too_much(row)]
    found += [f"{_in_words(row)}: processes left after {GONE:.0f} s" for row in rows if _too_long(row)]
    for number, training in enumerate(trainings):
        if not training["finished"]:
            found.append(f"training {number} did not finish")
        if training["damaged"]:
            found.append(f"training {number}: damaged: {', '.join(training['damaged'])}")
        if training["left"]:
            found.append(f"training {number}: {training['left']} processes left at its end")
    return found


def _too_much(row: Dict[str, Any]) -> bool:
    return bool(row["samples_lost"] > SAMPLES_BETWEEN_CHECKPOINTS)


def _too_long(row: Dict[str, Any]) -> bool:
    return not row["goes_on"] and (row["gone_after"] is None or row["gone_after"] > GONE)


def _in_words(row: Dict[str, Any]) -> str:
    what = FAULTS[row["how"], row["whom"]] + (f" ({row['rank']})" if row["whom"] == "rank" else "")
    if row["goes_on"]:
        return f"{what}: goes on, {row['samples_lost']:,} samples lost"
    again = "done" if row["trains_after"] is None else f"trains again after {row['trains_after']} s"
    gone = "had to be killed" if row["gone_after"] is None else f"gone after {row['gone_after']} s"
    return f"{what}: {gone}, {again}, {row['samples_lost']:,} samples lost"


def _summary(rows: List[Dict[str, Any]], trainings: List[Dict[str, Any]]) -> List[str]:
    finished = sum(training["finished"] for training in trainings)
    damaged = sum(len(training["damaged"]) for training in trainings)
    lost = max((row["samples_lost"] for row in rows), default=0)
    return [
        f"{len(rows)} faults: {finished} of {len(trainings)} trainings finished, {damaged} files damaged, at most "
        f"{lost:,} samples lost by one (checkpoints are {SAMPLES_BETWEEN_CHECKPOINTS:,} apart)"
    ]


def table(rows: List[Dict[str, Any]]) -> Table:
    """One line for each kind of fault."""
    shown = Table(title=f"{len(rows)} faults of a training of several processes")
    for name in ("fault", "times", "all gone, s", "trains again, s", "lost, most"):
        shown.add_column(name, justify="left" if name == "fault" else "right")
    for (how, whom), what in FAULTS.items():
        of = [row for row in rows if (row["how"], row["whom"]) == (how, whom)]
        if of:
            gone, again = ([row[key] for row in of] for key in ("gone_after", "trains_after"))
            lost = max(row["samples_lost"] for row in of)
            shown.add_row(what, str(len(of)), _range(gone), _range(again), f"{lost:,}")
    return shown


def _range(values: List[Optional[float]]) -> str:
    """Median and extremes of those that are there."""
    there = [value for value in values if value is not None]
    return f"{statistics.median(there):.1f} ({min(there):.1f} to {max(there):.1f})" if there else "–"
