"""Settings of the task as the kernels read them, and all that the last part of a step reads, in one struct."""

# mypy: disable-error-code="valid-type"

from __future__ import annotations

import torch
import warp as wp

from parc_core.config.env_config import EnvConfig
from parc_core.engines.mujoco_warp.types import CharacterTables, StateArrays, TerrainArrays, filled
from parc_core.envs.rewards import REWARD_TERMS
from parc_core.envs.task import TaskTensors
from parc_core.envs.terminations import TERMINATIONS, TIME_EPS
from parc_core.envs.warp.arrays import Episodes, Poses
from parc_core.envs.warp.tables import Motions

TermVector = wp.types.vector(length=len(REWARD_TERMS), dtype=wp.float32)
"""One number for each of `REWARD_TERMS`."""


@wp.struct
class Task:
    """Settings and weights of `EnvConfig` and `TaskTensors`."""

    joint_weights: wp.array[wp.float32]  # (J-1,)
    contact_weights: wp.array[wp.float32]  # (J,)
    max_body_dist: wp.array[wp.float32]  # (J-1,) m
    limit_scale: wp.array[wp.float32]  # (1,) factor of max_body_dist, max_root_dist and max_root_angle
    may_touch: wp.array[wp.bool]  # (J,)
    key_counts: wp.array[wp.float32]  # (J,) how often a body is among the key bodies
    reward_weights: TermVector
    reward_rates: TermVector
    terminations: int  # bit i: TERMINATIONS[i] is tested
    track_root: bool
    track_root_h: bool
    use_contact_info: bool
    max_root_dist: float  # m
    max_root_angle: float  # rad
    fall_height: float  # m
    episode_length: float  # s


@wp.struct
class StepArrays:
    """What terms and tests look at: where a step led, and where it should have.

    3.3 kB of a launch's arguments; before CUDA 12.1 there are 4 kB for them.
    """

    task: Task
    tree: CharacterTables
    terrain: TerrainArrays
    motions: Motions
    episodes: Episodes
    sim: StateArrays
    ref: Poses


def task_arrays(config: EnvConfig, tensors: TaskTensors) -> Task:
    """Views of the task's tensors and the settings that kernels need."""
    key_counts = torch.bincount(tensors.key_ids, minlength=len(tensors.contact_weights))
    enabled = [each.enabled(config) for each in TERMINATIONS]
    return filled(
        Task,
        joint_weights=tensors.joint_weights,
        contact_weights=tensors.contact_weights,
        max_body_dist=tensors.max_body_dist,
        limit_scale=tensors.limit_scale,
        may_touch=tensors.may_touch,
        key_counts=key_counts.float(),
        reward_weights=TermVector(*tensors.reward_weights.tolist()),
        reward_rates=TermVector(*tensors.reward_rates.tolist()),
        terminations=sum(1 << i for i, tested in enumerate(enabled) if tested),
        track_root=config.track_root,
        track_root_h=config.track_root_h,
        use_contact_info=config.use_contact_info,
        max_root_dist=config.root_pos_termination_dist,
        max_root_angle=config.root_rot_termination_angle,
        fall_height=config.termination_height,
        episode_length=config.episode_length - TIME_EPS,
    )
