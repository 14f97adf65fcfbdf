"""Where a model comes from, in words for people: dataset, parent, training, code, machine."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
from pathlib import Path
from typing import Dict, List, Optional

import torch

from parc_core import __version__
from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.resolve import ARGS_FILE
from parc_core.config.schema import to_mapping
from parc_core.config.train_args import TrainArgs, read_train_args
from parc_core.errors import ConfigError
from parc_core.evaluation.curves import read_curves
from parc_core.evaluation.page import differences
from parc_core.evaluation.result import EvalResult


def lineage(
    result: EvalResult,
    env_file: EnvFileConfig,
    training_dir: Optional[Path] = None,
    args: Optional[TrainArgs] = None,
) -> Dict[str, str]:
    """What is known: name -> text.

    Args:
        training_dir: of the log, and of the arguments unless `args` gives them.
    """
    args = args or _args_of(training_dir)
    found = {
        "dataset": f"{env_file.env.dm.motion_file}: {result.summary.clips} clips"
        + (f", set {result.summary.evaluation_set[:12]}" if result.summary.evaluation_set else "")
    }
    if args is not None:
        found["parent"] = str(args.in_model_file) if args.in_model_file else "none: random weights"
        found["training"] = f"{args.num_envs} environments, {args.engine} on {args.device}, seed {args.seed}"
    found.update(_course(training_dir))
    found["code"] = f"parc-tracker {__version__}" + (f", git {commit}" if (commit := git_commit()) else "")
    found["evaluated on"] = machine(str(result.settings.get("device", "cpu")))
    return found


def _args_of(folder: Optional[Path]) -> Optional[TrainArgs]:
    if folder is None or not (folder / ARGS_FILE).is_file():
        return None
    try:
        return read_train_args(folder / ARGS_FILE)
    except ConfigError:
        return None  # of a training by another program


def _course(folder: Optional[Path]) -> Dict[str, str]:
    """Samples, hours and speed of the training."""
    curves = read_curves(folder, ["Samples_Per_Second"]) if folder is not None else None
    if curves is None or not len(curves):
        return {}
    hours = [hour for hour in curves.hours if math.isfinite(hour)]
    speeds: List[float] = [v for v in curves.values.get("Samples_Per_Second", []) if math.isfinite(v)]
    text = f"{curves.samples[-1]:,.0f} samples" + (f" in {hours[-1]:.2f} hours" if hours else "")
    found = {"trained for": text}
    if speeds:
        found["throughput"] = f"{statistics.median(speeds):,.0f} samples/s, median"
    return found


def git_commit() -> str:
    """The commit of this code, "" where it is no checkout of its own; `+` where files were changed since."""
    if not (PROJECT_ROOT / ".git").exists():
        return ""
    command = [
        "git",
        "-C",
        str(PROJECT_ROOT),
        "describe",
        "--always",
        "--exclude=*",
        "--dirty=+",
        "--abbrev=12",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def machine(device: str) -> str:
    """Kind of processor, or of GPU; not whose machine it is."""
    text = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    if device.startswith("cuda") and torch.cuda.is_available():
        text += f", {torch.cuda.get_device_name(torch.device(device))}"
    return text


def differing_settings(env_file: EnvFileConfig, agent_config: AgentConfig) -> Dict[str, str]:
    """Settings other than the project's preset values, as "value (preset)"; places of files do not count."""
    pairs = (
        (to_mapping(env_file), to_mapping(EnvFileConfig())),
        (to_mapping(agent_config), to_mapping(AgentConfig())),
    )
    found: Dict[str, str] = {}
    for own, preset in pairs:
        found.update(differences(own, preset))
    return {key: text for key, text in found.items() if not key.endswith(("_file", "_path", "_dir"))}
