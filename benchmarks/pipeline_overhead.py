"""What the flow costs beside the trainer alone, and how long a run takes of which every result is kept.

`python -m benchmarks pipeline_overhead` runs in turns, each in empty folders and as processes of their own: a whole
`parc-tracker run` of a small training, the same again with all results kept, and `python -m parc_core.train` with the
config files that the run wrote. Evaluations and videos of the run count as overhead.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.timing import machine, machine_line
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.resolve import ARGS_FILE, PRIVATE_FOLDER
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic import make_motion
from parc_core.system.files import write_json
from parc_tracker.tables import print_table

GOALS = {"overhead": 15.0, "cached": 10.0}
"""In seconds."""


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks pipeline_overhead", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="rounds of the three measurements")
    parser.add_argument("--samples", type=int, default=4096, help="of each training")
    parser.add_argument("--json", type=Path, default=Path("output/benchmarks/pipeline_overhead.json"))
    args = parser.parse_args(argv)
    here = machine()
    rounds: List[Dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="parc-overhead-") as temp:
        prefect = Path(temp) / "prefect"  # shared: the server's first start alone makes its data base
        for number in range(args.repeats):
            rounds.append(_round(Path(temp) / str(number), prefect, args.samples))
            result = {"benchmark": "pipeline_overhead", "machine": here, "goals": GOALS, "rounds": rounds}
            write_json(args.json, {**result, "samples": args.samples, "load_after": os.getloadavg()[0]})
    console = Console(soft_wrap=True)
    print_table(table(rounds))
    console.print(f"{machine_line(here)}, {os.getloadavg()[0]:.2f} after. JSON: {args.json}")


def _round(folder: Path, prefect: Path, samples: int) -> Dict[str, float]:
    """Seconds of one run, of the same run again and of the trainer alone."""
    config = _write_inputs(folder, samples)
    environment = {
        "PARC_STORE": str(folder / "store"),
        "PARC_INDEX": str(folder / "index.json"),
        "PREFECT_HOME": str(prefect),
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
    }
    run = [sys.executable, "-m", "parc_tracker.main", "run", "--config", str(config)]
    times = {"run": _seconds(run, folder, environment), "cached": _seconds(run, folder, environment)}
    trained = folder / "trained"
    arguments = trained / PRIVATE_FOLDER / ARGS_FILE
    kept = arguments.read_bytes()
    shutil.rmtree(trained / "checkpoints")  # the configs stay, the training starts from nothing
    for path in (*trained.glob("*.pt"), *trained.glob("*.txt"), *trained.glob("*.jsonl")):
        path.unlink()
    arguments.write_bytes(kept)
    bare = [sys.executable, "-m", "parc_core.train", "--arg_file", str(arguments)]
    times["trainer"] = _seconds(bare, PROJECT_ROOT, environment)
    if not (trained / "model.pt").is_file():
        raise RuntimeError(f"the trainer alone left no model in {trained}")
    times["overhead"] = times["run"] - times["trainer"]
    return {name: round(value, 2) for name, value in times.items()}


def _seconds(command: Sequence[str], folder: Path, environment: Dict[str, str]) -> float:
    """Wall-clock time of a process from its start to its end, which has to be a good one."""
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    taken = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{command[1:4]} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return taken


def _write_inputs(folder: Path, samples: int) -> Path:
    """Two motions and configs with small networks."""
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    for kind in ("stand", "walk"):
        path = folder / "motions" / kind / f"{kind}_0.pkl"
        path.parent.mkdir(parents=True)
        write_motion_terrain(path, make_motion(kind, 0, character))
    agent = {
        "model": {"actor_net": "fc_2layers_64units", "critic_net": "fc_2layers_64units"},
        "optimizer": {"type": "Adam", "learning_rate": 0.0005},
        "update_epochs": 1,
        "iters_per_output": 1,
        "test_episodes": 0,
        "use_tensorboard": False,
    }
    tracker = {
        "env_config": str(PROJECT_ROOT / "data/configs/demo/env.yaml"),
        "agent_config": str(folder / "agent.yaml"),
        "create_dataset_config": str(folder / "dataset.yaml"),
        "output_dir": str(folder / "trained"),
        "num_envs": 16,
        "max_samples": samples,
        "device": "cpu",
        "engine": "mujoco",
        "model_name": "overhead",
    }
    dataset = {"folder_paths": [str(folder / "motions")], "save_path": str(folder / "data")}
    for name, content in (("agent", agent), ("dataset", dataset), ("tracker", tracker)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder / "tracker.yaml"


def table(rounds: List[Dict[str, float]]) -> Table:
    """One row a measurement: median, least and most of all rounds, and the goal."""
    rows = Table(title=f"Flow beside the trainer alone, {len(rounds)} rounds, seconds")
    for name in ("what", "median", "least", "most", "goal"):
        rows.add_column(name, justify="left" if name == "what" else "right")
    texts = {
        "run": "whole run",
        "trainer": "trainer alone",
        "overhead": "overhead",
        "cached": "run, all kept",
    }
    for name, text in texts.items():
        values = [entry[name] for entry in rounds]
        goal = f"< {GOALS[name]:.0f}" if name in GOALS else ""
        numbers = (statistics.median(values), min(values), max(values))
        rows.add_row(text, *(f"{number:.1f}" for number in numbers), goal)
    return rows


if __name__ == "__main__":
    main()
