"""Faults of a deployment: `python -m benchmarks faults --worker-faults 10 --server-faults 5`.

Each fault gets a run of `tracker-iteration` of its own, on a real server, pool and worker: at a random moment of it
the worker, the process of the flow, both with the trainer (a machine), or the Prefect server is killed with SIGKILL.
What a service manager does is done at once: worker or server are started again, a dead machine is replaced by another
one with empty folders. All else is left to what `parc-tracker deploy` has set up.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Optional

from rich.console import Console
from rich.table import Table

from benchmarks.faults.account import damaged_files, newest_samples, samples_lost
from benchmarks.faults.deployed import Deployed
from benchmarks.faults.processes import end_all, of_hosts
from benchmarks.faults.scene import SAMPLES_BETWEEN_CHECKPOINTS
from benchmarks.timing import machine, machine_line
from parc_core.errors import DataError
from parc_core.registry.models import resolve_model
from parc_core.system.files import write_json
from parc_tracker.tables import print_table

FAULTS = {
    "worker": "SIGKILL of the worker, which is started again",
    "flow": "SIGKILL of the flow's process",
    "machine": "SIGKILL of worker, flow and trainer; another machine",
    "server": "SIGKILL of the Prefect server, away for a while",
}
MOMENTS = {"claimed": (0.0, 5.0), "before": (0.0, 6.0), "training": (0.0, 1.0), "after": (0.0, 5.0)}
"""Least and most seconds after the worker took the run / the flow began / training's share / training's end."""
AWAY = (5.0, 45.0)  # s without Prefect's server
END_TIMEOUT = 360.0  # s until a run ends after its fault
LEAVE = 40.0  # s that processes may take to leave after their run


def run(args: argparse.Namespace) -> None:
    """Runs the benchmark; exit code 1 where a run did not finish, a file is damaged or a process is left."""
    chance, console = random.Random(args.seed), Console(soft_wrap=True)
    names = [("machine", "flow", "worker")[i % 3] for i in range(args.worker_faults)]
    plan = names + ["server"] * args.server_faults
    rows: List[Dict[str, Any]] = []
    with Deployed(args.scratch / "deployed", args.samples) as scene:
        for number, fault in enumerate(plan):
            moment = chance.choice(["training", "training", "training", "claimed", "before", "after"])
            rows.append(_one(scene, number, fault, "training" if fault == "server" else moment, chance))
            console.print(rows[-1])
            write_json(
                args.json, {"benchmark": "worker and server faults", "machine": machine(), "rows": rows}
            )
    print_table(table(rows))
    console.print(f"{machine_line(machine())}. JSON: {args.json}")
    if not all(row["finished"] and not row["damaged"] and not row["orphans"] for row in rows):
        raise SystemExit(1)


def _one(scene: Deployed, number: int, fault: str, moment: str, chance: random.Random) -> Dict[str, Any]:
    """One run with its fault, to its end."""
    began = time.monotonic()
    id = scene.ask_for_run(number)
    share = chance.uniform(*MOMENTS[moment])
    _wait_for_moment(scene, id, moment, share)
    harmed = datetime.now(timezone.utc)
    at = max((newest_samples(path) for path in scene.progress()), default=0)
    _harm(scene, fault, chance)
    run = scene.wait_for_end(id, END_TIMEOUT)
    orphans = _left_over(scene)
    lost, starts = samples_lost(*scene.progress())
    states = scene.states_since(id, harmed)
    row = {
        "run": number,
        "fault": fault,
        "moment": moment,
        "samples_then": at,
        "state": run["state"]["name"],
        "finished": run["state"]["name"] == "Completed" and _is_registered(scene, number),
        "attempts": run["run_count"],
        "trainer_starts": starts,
        "noticed_after": states.get("Crashed"),
        "moved_on_after": states.get("Running"),
        "samples_lost": lost,
        "damaged": damaged_files(scene.store()),
        "orphans": orphans,
        "flows_at_once": scene.flows_at_once,
        "workers_that_left": scene.workers_that_left,
        "seconds": round(time.monotonic() - began, 1),
    }
    if run["state"]["name"] != "Completed":
        scene.give_up(id)  # the queue is free for the next one
    return row


def _wait_for_moment(scene: Deployed, id: str, moment: str, share: float) -> None:
    """Until the run has come so far."""
    if moment == "training":
        scene.until(lambda: scene.samples() >= max(1, share * 0.95 * scene.max_samples), "training")
        return
    reached: Dict[str, Callable[[], bool]] = {
        "claimed": lambda: scene.state(id) not in ("Scheduled", "Late"),
        "before": lambda: scene.state(id) == "Running",
        "after": lambda: scene.samples() >= scene.max_samples,
    }
    scene.until(reached[moment], moment)
    time.sleep(share)


def _harm(scene: Deployed, fault: str, chance: random.Random) -> None:
    if fault == "server":
        scene.restart_server(chance.uniform(*AWAY))
    elif fault == "worker":
        scene.kill_worker()
        scene.start_worker()
    elif fault == "machine":
        scene.kill_machine()
        scene.start_machine()
    else:
        scene.until(lambda: bool(scene.flows()), "process of the flow")
        end_all(scene.flows())


def _left_over(scene: Deployed) -> List[str]:
    """Command lines of what is still there beside the worker, some time after the run."""
    deadline = time.monotonic() + LEAVE
    while True:
        found = of_hosts(scene.hosts)
        found.pop(scene.worker_pid, None)
        if not found or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if found:
        end_all(list(found))
    return [" ".join(words) for words in found.values()]


def _is_registered(scene: Deployed, number: int) -> bool:
    """Whether there is one model, trained to the end."""
    store, name = scene.store(), scene.model_name(number)
    try:
        model = resolve_model(store, name)
    except DataError:
        return False
    return bool(model["version"] == 1 and model["lineage"]["samples"] >= scene.max_samples)


def table(rows: List[Dict[str, Any]]) -> Table:
    """What happened, one line for each kind of fault."""
    found = Table(title=f"{len(rows)} faults, each in a run of a deployment")
    found.add_column("fault")
    for column in ("times", "finished", "starts", "noticed, s", "goes on, s", "lost, most", "run, s"):
        found.add_column(column, justify="right")
    for fault, what in FAULTS.items():
        of = [row for row in rows if row["fault"] == fault]
        if not of:
            continue
        found.add_row(
            what,
            str(len(of)),
            str(sum(row["finished"] for row in of)),
            str(sum(row["attempts"] for row in of)),
            _range([row["noticed_after"] for row in of]),
            _range([row["moved_on_after"] for row in of]),
            f"{max(row['samples_lost'] for row in of):,}",
            f"{statistics.median(row['seconds'] for row in of):.0f}",
        )
    found.add_section()
    found.add_row("between checkpoints", f"{SAMPLES_BETWEEN_CHECKPOINTS:,}")
    found.add_row("files damaged", str(len({key for row in rows for key in row["damaged"]})))
    found.add_row("processes left", str(sum(len(row["orphans"]) for row in rows)))
    return found


def _range(values: List[Optional[float]]) -> str:
    """Median and extremes of those that are there."""
    there = [value for value in values if value is not None]
    if not there:
        return "–"
    return f"{statistics.median(there):.0f} ({min(there):.0f} to {max(there):.0f})"
