"""Recorded motions per second: an untrained policy performs synthetic motions to their ends, files included.

`python -m benchmarks recording --motions 1000` (on a GPU: `--device cuda:0`). Nothing ends a performance, so that every
motion is recorded at its first try: the most work that a recording has.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.timing import check_device_or_leave, machine, machine_line
from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import DeepMimicConfig, EnvConfig, EnvFileConfig
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.learning.model_file import write_model_file
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.synthetic import KINDS, make_dataset
from parc_core.playback.policy import load_policy
from parc_core.record import RecordJob, record
from parc_core.recording.recorder import RecordOptions
from parc_core.system.files import write_json
from parc_tracker.tables import print_table


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks recording", description=__doc__)
    parser.add_argument("--motions", type=int, default=1000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--observations", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("output/benchmarks/recording.json"))
    args = parser.parse_args(argv)
    check_device_or_leave(args.device)
    with tempfile.TemporaryDirectory(prefix="parc-recording-") as temp:
        result = {"benchmark": "recording", "machine": machine(), **_measure(Path(temp), args)}
    write_json(args.json, result)
    print_table(table(result))
    Console(soft_wrap=True).print(f"{machine_line(result['machine'])}. JSON: {args.json}")


def _measure(folder: Path, args: argparse.Namespace) -> Dict[str, Any]:
    per_kind = -(-args.motions // len(KINDS))
    files = make_dataset(list(KINDS), per_kind, 0, folder / "motions")[: args.motions]
    listing = folder / "motions.yaml"
    write_motions_yaml(listing, MotionsFile([MotionEntry(str(file), 1.0) for file in files]))
    env = EnvConfig(
        action_mode="residual", enable_early_termination=False, dm=DeepMimicConfig(motion_file=str(listing))
    )
    env_file, agent = EnvFileConfig(env=env), AgentConfig()
    first = dataclasses.replace(env, dm=DeepMimicConfig(motion_file=str(_of_one(folder, files[0]))))
    small = make_evaluation_env(EnvFileConfig(env=first), "mujoco")
    write_model_file(folder / "model.pt", load_policy(None, small, agent))
    begin = time.perf_counter()
    marks: Dict[str, float] = {}
    job = RecordJob(
        folder / "model.pt",
        env_file,
        agent,
        folder / "out",
        args.engine,
        args.device,
        options=RecordOptions(observations=args.observations),
    )
    recording = record(job, lambda done, total, what: marks.setdefault("first wave", time.perf_counter()))
    seconds = time.perf_counter() - begin
    summary = recording.summary()
    return {
        "device": args.device,
        "motions": summary["motions"],
        "recorded": summary["recorded"],
        "frames": summary["frames"],
        "seconds": round(seconds, 2),
        "first_wave_s": round(marks["first wave"] - begin, 2),
        "motions_per_s": round(summary["recorded"] / seconds, 2),
    }


def _of_one(folder: Path, file: Path) -> Path:
    """A dataset of one motion, for the networks' sizes."""
    write_motions_yaml(folder / "one.yaml", MotionsFile([MotionEntry(str(file), 1.0)]))
    return folder / "one.yaml"


def table(result: Dict[str, Any]) -> Table:
    """One row."""
    rows = Table(title="Recording, from model and dataset to files")
    names = ("motions", "recorded", "frames", "seconds", "first_wave_s", "motions_per_s")
    rows.add_column("device")
    for name in names:
        rows.add_column(name.replace("_", " "), justify="right")
    rows.add_row(result["device"], *(f"{result[name]:,}" for name in names))
    return rows
