"""What changes in every step, as the kernels read and write it: episodes and the reference; the physical state is
the engine's `StateArrays`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

import torch
import warp as wp
from torch import Tensor

from parc_core.engines.mujoco_warp.types import filled


@wp.struct
class Episodes:
    """Where each environment is in its motion, and how its episode goes."""

    motion_ids: wp.array[wp.int64]
    start_times: wp.array[wp.float32]  # s
    steps: wp.array[wp.int64]
    done: wp.array[wp.int64]
    fail_reason: wp.array[wp.int64]
    returns: wp.array[wp.float32]
    reward: wp.array[wp.float32]
    terms: wp.array2d[wp.float32]  # (N, T + 1) of the reward
    control_dt: float  # s


@wp.struct
class Poses:
    """The reference at the current time."""

    root_pos: wp.array[wp.vec3]
    root_rot: wp.array[wp.quat]
    root_vel: wp.array[wp.vec3]
    root_ang_vel: wp.array[wp.vec3]
    dof_vel: wp.array2d[wp.float32]
    joint_rot: wp.array2d[wp.quat]
    body_pos: wp.array2d[wp.vec3]
    contacts: wp.array2d[wp.float32]


@dataclass(frozen=True)
class EpisodeTensors:
    """The tensors behind `Episodes`, all (N,) but the last: int64, float32 s, int64, int64, int64, then float32."""

    motion_ids: Tensor
    start_times: Tensor
    steps: Tensor
    done: Tensor
    fail_reason: Tensor
    returns: Tensor
    reward: Tensor
    terms: Tensor
    """(N, T + 1)."""

    def arrays(self, control_dt: float) -> Episodes:
        return filled(Episodes, **vars(self), control_dt=control_dt)


def empty_poses(num_envs: int, num_bodies: int, num_dofs: int, device: torch.device) -> Poses:
    """Room for N reference poses."""
    shapes: Dict[str, Tuple[int, ...]] = {
        "root_pos": (3,),
        "root_rot": (4,),
        "root_vel": (3,),
        "root_ang_vel": (3,),
        "dof_vel": (num_dofs,),
        "joint_rot": (num_bodies - 1, 4),
        "body_pos": (num_bodies, 3),
        "contacts": (num_bodies,),
    }
    return filled(
        Poses, **{name: torch.zeros(num_envs, *shape, device=device) for name, shape in shapes.items()}
    )
