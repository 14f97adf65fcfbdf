"""`python -m benchmarks faults --faults 100`: trainings are harmed at random until so many faults were done.

Each training is run by `parc-tracker run` on an S3 server of its own, gets `--each` faults, is started again
whenever its flow ends with an error (what "Retry" does), and has to finish. Counted: trainings finished, samples
trained twice, files in the store whose content is not what was recorded (must be 0). Each fault has to meet the
training that is under way, and is looked for in what came of it.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from rich.console import Console
from rich.table import Table

from benchmarks.faults.account import damaged_files, samples_lost
from benchmarks.faults.injections import FAULTS, TooLate
from benchmarks.faults.scene import SAMPLES_BETWEEN_CHECKPOINTS, Scene
from benchmarks.timing import machine, machine_line
from parc_core.system.files import write_json
from parc_tracker.tables import print_table

MAX_STARTS = 25  # of one training: one that needs more has not survived
STALL_TIMEOUT = 600.0  # s without a sample and without a line of the log after which a training is given up
MAX_IDLE = 3  # trainings in a row that are over before a fault could be done


def main(argv: List[str]) -> None:
    """Runs the benchmark; exit code 1 where a training did not finish or a file is damaged."""
    args = _arguments(argv)
    console = Console(soft_wrap=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end what was started, too
    if args.worker_faults or args.server_faults:
        from benchmarks.faults.workers import run  # needs Prefect's server and a worker

        run(args)
        return
    if args.ranks:
        from benchmarks.faults.ranks import run as run_ranks

        run_ranks(args)
        return
    chance = random.Random(args.seed)
    rows: List[Dict[str, Any]] = []
    damaged: List[str] = []
    disk = args.scratch / "disk"
    with _small_disk(disk, args.disk_mb), Scene(args.scratch / "scene", disk / "work", args.samples) as scene:
        names = [name for name in FAULTS if name != "full disk" or args.disk_mb]
        done = idle = 0
        while done < args.faults:
            plan = [chance.choice(names) for _ in range(min(args.each, args.faults - done))]
            rows.append(_training(scene, len(rows), plan, chance, console))
            done += len(rows[-1]["faults"])
            damaged = [key for key in damaged_files(scene.store()) if key not in scene.spoiled]
            _write(args.json, rows, damaged)  # a benchmark that is cut short has the numbers so far
            idle = 0 if rows[-1]["faults"] else idle + 1
            if idle == MAX_IDLE:
                raise SystemExit(f"{idle} trainings in a row took no fault; see {scene.scratch}")
    print_table(_table(rows, damaged))
    console.print(f"{machine_line(machine())}. JSON: {args.json}")
    unfelt = [entry["fault"] for row in rows for entry in row["recoveries"] if not entry["felt"]]
    if unfelt:
        console.print(f"faults that did not meet their training: {', '.join(unfelt)}")
    if damaged or unfelt or not all(row["finished"] for row in rows):
        raise SystemExit(1)


def _arguments(argv: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, help="how many in all")
    parser.add_argument(
        "--worker-faults", type=int, default=0, help="instead: of a deployment's worker, flow or machine"
    )
    parser.add_argument(
        "--server-faults", type=int, default=0, help="instead: of the Prefect server below a deployment"
    )
    parser.add_argument(
        "--ranks",
        type=int,
        default=0,
        help="instead: of a training of so many processes on the CPU, without Prefect",
    )
    parser.add_argument("--each", type=int, default=5, help="how many a training gets")
    parser.add_argument("--samples", type=int, default=100_000, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of faults")
    parser.add_argument(
        "--disk-mb", type=int, default=0, help="mount a small disk for 'full disk' (needs root)"
    )
    parser.add_argument("--scratch", type=Path, default=Path("output/benchmarks/faults"))
    parser.add_argument("--json", type=Path, default=Path("output/benchmarks/faults.json"))
    args = parser.parse_args(argv)
    args.scratch = args.scratch.absolute()
    return args


def _training(
    scene: Scene, number: int, plan: List[str], chance: random.Random, console: Console
) -> Dict[str, Any]:
    """One training with its faults, to its end."""
    left, starts, codes = list(plan), 0, Counter()
    lost = trainer_starts = 0
    began = time.monotonic()
    recoveries: List[Dict[str, Any]] = []
    known = set(scene.progress_files())
    while True:
        starts += 1
        scene.start_flow(number)
        _wait_for_recovery(scene, recoveries)
        while left and scene.wait_for_progress(
            chance.randrange(512, 4 * SAMPLES_BETWEEN_CHECKPOINTS), STALL_TIMEOUT
        ):
            name = left.pop(0)
            console.print(f"training {number}: {name}")
            before = _account(scene, known)
            recovery = _harm(scene, name, chance)
            if recovery is None:
                console.print(f"training {number}: {name}: too late, the training is over")
                left.insert(0, name)
                break
            recoveries.append(recovery)
            if not scene.work.exists():  # the record of the lost machine is gone with it
                lost, trainer_starts = lost + before[0], trainer_starts + before[1]
            _wait_for_recovery(scene, recoveries)
        code = _end_of_flow(scene, codes)
        if code == 0:
            _recovered(recoveries)  # the fault came so late that nothing was left to train
            _ask(recoveries)
        if code == 0 or starts >= MAX_STARTS:
            break
    more = _account(scene, known)
    row = {
        "training": number,
        "faults": plan[: len(plan) - len(left)],
        "finished": code == 0,
        "flow_starts": starts,
        "trainer_starts": trainer_starts + more[1],
        "samples_lost": lost + more[0],
        "exit_codes": dict(codes),
        "recoveries": [
            {"fault": found["fault"], "seconds": found.get("seconds"), "felt": found["felt"] is True}
            for found in recoveries
        ],
        "seconds": round(time.monotonic() - began, 1),
    }
    console.print(row)
    return row


def _harm(scene: Scene, name: str, chance: random.Random) -> Optional[Dict[str, Any]]:
    """Does one fault; from now on the training has to recover. None where it was over before."""
    began = time.monotonic()
    try:
        return {"fault": name, "felt": FAULTS[name].harm(scene, chance), "began": began}
    except TooLate:
        return None


def _end_of_flow(scene: Scene, codes: Counter) -> int:
    """Waits for the flow, counts how it ended, and returns its exit code."""
    assert scene.flow is not None
    try:
        code = scene.flow.wait(STALL_TIMEOUT * 2)
    except subprocess.TimeoutExpired:
        scene.flow.kill()
        code = scene.flow.wait()
        codes["hung"] += 1
    codes[str(code)] += 1
    return code


def _wait_for_recovery(scene: Scene, recoveries: List[Dict[str, Any]]) -> None:
    """Notes how long the last faults stopped the training, once it moves on; nothing where its flow ended."""
    if any("seconds" not in found for found in recoveries) and scene.wait_for_progress(1, STALL_TIMEOUT):
        _recovered(recoveries)
        _ask(recoveries)


def _ask(recoveries: List[Dict[str, Any]]) -> None:
    """Whether the faults met the training, once it is known."""
    for found in recoveries:
        if callable(found["felt"]):
            found["felt"] = found["felt"]()


def _recovered(recoveries: List[Dict[str, Any]]) -> None:
    for found in recoveries:
        found.setdefault("seconds", round(time.monotonic() - found["began"], 1))


def by_fault(rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """For each kind of fault: how often, in how many of these the training finished, median s until it moved on."""
    found = []
    for name, fault in FAULTS.items():
        recoveries = [entry for row in rows for entry in row["recoveries"] if entry["fault"] == name]
        if recoveries:
            seconds = [entry["seconds"] for entry in recoveries if entry["seconds"] is not None]
            found.append(
                {
                    "fault": name,
                    "what": fault.what,
                    "times": len(recoveries),
                    "felt": sum(entry["felt"] for entry in recoveries),
                    "finished": sum(row["faults"].count(name) for row in rows if row["finished"]),
                    "recovery_seconds": statistics.median(seconds) if seconds else None,
                }
            )
    return found


def _write(path: Path, rows: List[Dict[str, Any]], damaged: List[str]) -> None:
    content = {"benchmark": "faults", "machine": machine(), "by_fault": by_fault(rows)}
    write_json(path, {**content, "rows": rows, "damaged": damaged})


def _account(scene: Scene, known: set) -> tuple:
    """(samples lost, starts) by this training's records on this machine."""
    found = [samples_lost(path) for path in scene.progress_files() if path not in known]
    return sum(lost for lost, _ in found), sum(starts for _, starts in found)


def _table(rows: List[Dict[str, Any]], damaged: List[str]) -> Table:
    faults = Counter(name for row in rows for name in row["faults"])
    finished = sum(row["finished"] for row in rows)
    table = Table(title=f"{sum(faults.values())} faults in {len(rows)} trainings")
    table.add_column("fault")
    for column in ("times", "felt", "finished", "recovery, s (median)"):
        table.add_column(column, justify="right")
    for entry in by_fault(rows):
        recovery = entry["recovery_seconds"]
        table.add_row(
            entry["what"],
            str(entry["times"]),
            str(entry["felt"]),
            str(entry["finished"]),
            "never" if recovery is None else f"{recovery:.1f}",
        )
    table.add_section()
    table.add_row("trainings finished", f"{finished} of {len(rows)}")
    table.add_row(
        "flow starts / trainer starts", f"{_sum(rows, 'flow_starts')} / {_sum(rows, 'trainer_starts')}"
    )
    table.add_row("samples trained twice", f"{_sum(rows, 'samples_lost'):,}")
    table.add_row("between checkpoints", f"{SAMPLES_BETWEEN_CHECKPOINTS:,}")
    table.add_row("files damaged", str(len(damaged)))
    return table


def _sum(rows: List[Dict[str, Any]], key: str) -> int:
    return sum(row[key] for row in rows)


@contextlib.contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of so many MB, in memory, at `folder`; 0 = an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not megabytes:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
