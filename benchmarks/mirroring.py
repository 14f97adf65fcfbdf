"""What it costs a training that its checkpoints go to an S3 store in the background.

`python -m benchmarks mirroring` starts a SeaweedFS server of its own on this machine and trains in turns, each from
nothing: with the store on that server (every checkpoint goes there) and without. Compared are samples/s between the
first and the last line of each training's log, checkpoints included; server, upload and trainer share the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.timing import machine, machine_line
from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.resolve import ARGS_FILE, emit_configs
from parc_core.config.tracker_config import load_tracker_config
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.synthetic import make_dataset
from parc_core.storage.store import Store
from parc_core.supervisor.supervise import Listener, trainer_command
from parc_core.supervisor.training_session import TrainingRun, run_training
from parc_core.system.files import write_json
from parc_core.training.checkpoint import list_checkpoints
from parc_tracker.object_server import ObjectServer
from parc_tracker.tables import print_table

GOAL = 0.03
"""Of the throughput."""
KINDS = ("without", "with")
NETWORK = "fc_2layers_1024units"


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks mirroring", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="trainings of each kind")
    parser.add_argument("--envs", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=40, help="of each training, 32 steps each")
    parser.add_argument("--every", type=int, default=10, help="iterations between two checkpoints")
    parser.add_argument("--json", type=Path, default=Path("output/benchmarks/mirroring.json"))
    args = parser.parse_args(argv)
    result: Dict[str, Any] = {"benchmark": "mirroring", "machine": machine(), "goal": GOAL}
    result.update(envs=args.envs, iterations=args.iterations, every=args.every, network=NETWORK)
    with tempfile.TemporaryDirectory(prefix="parc-mirroring-") as temp:
        folder = Path(temp)
        with ObjectServer(folder / "server") as server:
            os.environ.update(server.environment(), PARC_STORE=f"s3://{server.bucket}/mirroring")
            os.environ.update(
                PARC_WORK=f"{folder}/work", PARC_CACHE=f"{folder}/cache", PARC_INDEX=f"{folder}/index.json"
            )
            result.update(_rounds(folder, args))
    result["load_after"] = os.getloadavg()[0]
    write_json(args.json, result)
    console = Console(soft_wrap=True)
    print_table(table(result))
    console.print(f"{machine_line(result['machine'])}, {result['load_after']:.2f} after. JSON: {args.json}")


def _rounds(folder: Path, args: argparse.Namespace) -> Dict[str, Any]:
    """samples/s of each training, in turns that change which kind goes first."""
    make_dataset(["stand", "walk"], 2, 0, folder / "motions", max_seconds=4.0)
    built = create_dataset(DatasetConfig([str(folder / "motions")], save_path=str(folder / "data")))
    found: Dict[str, List[Dict[str, float]]] = {kind: [] for kind in KINDS}
    for number in range(args.repeats):
        for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
            name = f"{kind}-{number}"
            key = name if kind == "with" else None
            found[kind].append(_train(folder / name, built["motions_yaml"], args, key))
    speeds = {kind: [training["samples_per_s"] for training in found[kind]] for kind in KINDS}
    cost = 1.0 - statistics.median(speeds["with"]) / statistics.median(speeds["without"])
    return {"trainings": found, "cost": cost}


def _train(folder: Path, dataset: str, args: argparse.Namespace, key: Optional[str]) -> Dict[str, float]:
    """One training; with a key its checkpoints go to the store."""
    folder.mkdir()
    config = load_tracker_config(_write_configs(folder, dataset, args))
    files = emit_configs(config, dataset, folder)
    run_training(TrainingRun(trainer_command(files[ARGS_FILE]), folder, "cpu", key), Listener())
    lines = (folder / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    outputs = [event for event in events if event["event"] == "output"]
    seconds = 3600.0 * (outputs[-1]["Wall_Time"] - outputs[0]["Wall_Time"])
    checkpoints = list_checkpoints(folder / "checkpoints")
    found = {
        "samples_per_s": (outputs[-1]["samples"] - outputs[0]["samples"]) / seconds,
        "checkpoints": float(sum(event["event"] == "checkpoint" for event in events)),
        "megabytes": checkpoints[0][1].stat().st_size / 1e6,
        "seconds_between": seconds / (len(outputs) - 1) * args.every,
    }
    if key is not None and not Store().exists(f"runs/{key}/checkpoints.json"):
        raise RuntimeError(f"no checkpoint of {folder} reached the store")
    return {name: round(value, 2) for name, value in found.items()}


def _write_configs(folder: Path, dataset: str, args: argparse.Namespace) -> Path:
    agent = {
        "model": {"actor_net": NETWORK, "critic_net": NETWORK},
        "optimizer": {"type": "Adam", "learning_rate": 0.0005},
        "update_epochs": 2,
        "iters_per_output": 1,
        "iters_per_checkpoint": args.every,
        "test_episodes": 0,
        "use_tensorboard": False,
    }
    tracker = {
        "env_config": str(PROJECT_ROOT / "data/configs/demo/env.yaml"),
        "agent_config": str(folder / "own_agent.yaml"),
        "dataset_file": dataset,
        "output_dir": str(folder),
        "num_envs": args.envs,
        "max_samples": args.envs * 32 * args.iterations,
        "device": "cpu",
        "engine": "mujoco",
    }
    for name, content in (("own_agent", agent), ("tracker", tracker)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder / "tracker.yaml"


def table(result: Dict[str, Any]) -> Table:
    """One row a kind, and what the mirroring costs."""
    some = result["trainings"]["with"][0]
    rows = Table(
        title=f"Checkpoints of {some['megabytes']:.0f} MB every {some['seconds_between']:.0f} s, samples/s"
    )
    for name in ("store", "median", "least", "most"):
        rows.add_column(name, justify="left" if name == "store" else "right")
    for kind in KINDS:
        speeds = [training["samples_per_s"] for training in result["trainings"][kind]]
        numbers = (statistics.median(speeds), min(speeds), max(speeds))
        rows.add_row(kind, *(f"{number:,.0f}" for number in numbers))
    rows.caption = f"cost: {result['cost']:.1%} (medians; goal < {GOAL:.0%})"
    return rows


if __name__ == "__main__":
    main()
