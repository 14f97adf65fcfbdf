"""What is measured: characters that follow synthetic motions on their terrains."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Sequence

import torch

from parc_core.config.env_config import EnvConfig, EnvFileConfig
from parc_core.envs.factory import make_env
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.synthetic.dataset import make_dataset
from parc_core.motion.synthetic.kinds import KINDS

MOTIONS_PER_KIND = 4


def tracking_scene(num_envs: int, threads: int) -> TrackingEnv:
    """An environment of all kinds of synthetic motions with residual actions, started at random times.

    Args:
        num_envs: N.
        threads: of the physics and of torch.
    """
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        listing = synthetic_motions(Path(folder), MOTIONS_PER_KIND * len(KINDS))
        config = EnvConfig(action_mode="residual")
        config = replace(config, dm=replace(config.dm, motion_file=str(listing)))
        env = make_env(EnvFileConfig(env=config), num_envs, "cpu", "mujoco", num_threads=threads)
    env.reset()
    return env


def synthetic_motions(folder: Path, count: int) -> Path:
    """Makes `count` synthetic motions of all kinds in a folder and returns their motions.yaml."""
    kinds = list(KINDS)[:count]
    files = make_dataset(kinds, -(-count // len(kinds)), 0, folder)
    chosen = files[:: len(files) // count][:count]
    return listing_of(chosen, folder / "motions.yaml")


def listing_of(files: Sequence[Path], listing: Path) -> Path:
    """Writes a motions.yaml of motion files, all drawn alike, and returns it."""
    write_motions_yaml(listing, MotionsFile([MotionEntry(str(file), 1.0) for file in files]))
    return listing


def follow(env: TrackingEnv, steps: int) -> None:
    """Control steps whose PD targets lead the reference; finished environments start anew."""
    action = torch.zeros(env.num_envs, env.action_dim)
    for _ in range(steps):
        env.step(action)
        env.reset_done()
