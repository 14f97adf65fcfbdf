"""Where a training lies: the config's `output_dir`, or a folder named by what is trained."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from parc_core.config.paths import PathLike, existing_file, expand
from parc_core.config.resolve import resolved_agent, resolved_env
from parc_core.config.tracker_config import TrackerConfig
from parc_core.config.train_args import TrainArgs
from parc_core.storage.references import work_folder
from parc_core.training.fingerprint import training_fingerprint


def run_key(tracker: TrackerConfig, dataset_file: PathLike) -> str:
    """16 hex digits made from data, configs, parent model and seed; not from max_samples, device or code.

    A retry, the next scheduled run and a run from the command line therefore find each other's checkpoints.
    """
    parent = tracker.in_model_file
    args = TrainArgs(
        env_config="",
        agent_config="",
        output_dir="",
        num_envs=tracker.num_envs,
        device=tracker.device,
        engine=tracker.engine,
        in_model_file=None
        if parent is None
        else str(existing_file(parent, "in_model_file", "tracker config")),
        seed=tracker.seed,
    )
    dataset = existing_file(dataset_file, "dataset_file", "tracker config")
    env_file = resolved_env(tracker, dataset, Path("run"))
    fingerprint = training_fingerprint(args, env_file, resolved_agent(tracker))
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]


def run_folder(tracker: TrackerConfig, dataset_file: PathLike) -> Path:
    """Absolute folder of the training on this machine: `output_dir`, else `runs/<key>` in the work folder.

    Raises:
        ConfigError: see `run_key`.
        DataError: the dataset cannot be read.
    """
    if tracker.output_dir is not None:
        return Path(expand(tracker.output_dir)).absolute()
    return work_folder() / "runs" / run_key(tracker, dataset_file)
