"""The two environments that the checks look at."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.warp.env import FusedTrackingEnv
from tests.envs.scenes import motion, shortened, write_dataset
from tests.envs.warp.launched_mujoco import pair_of

NUM_ENVS = 3


def moved_pair(steps: int, **settings: Any) -> tuple[TrackingEnv, FusedTrackingEnv]:
    """The torch and the fused environment before a step: both standing, moved by the same actions.

    Args:
        steps: that were taken.
        settings: of the environment.
    """
    with tempfile.TemporaryDirectory() as folder:
        listing = write_dataset(Path(folder), {"stand": shortened(motion("stand"), 30)})
        plain, fused = pair_of(listing, NUM_ENVS, seed=1, **settings)
    ids, times = torch.zeros(NUM_ENVS, dtype=torch.long), torch.zeros(NUM_ENVS)
    for env in (plain, fused):
        env.reset_to(ids, times)
        for _ in range(steps):
            env.step(swing(env))
    return plain, fused


def swing(env: TrackingEnv) -> torch.Tensor:
    """Actions that move every joint, differently in each environment."""
    return torch.linspace(0.1, 0.6, NUM_ENVS)[:, None].expand(-1, env.action_dim)
