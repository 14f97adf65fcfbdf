"""What changes in every step, as the kernels read and write it: episodes and the reference; the physical state is
the engine's `StateArrays`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from torch import Tensor

from parc_core.envs.warp.tables import view


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
    """The tensors behind `Episodes`, all (N,): int64, float32 s, int64, int64, int64, float32, float32."""

    motion_ids: Tensor
    start_times: Tensor
    steps: Tensor
    done: Tensor
    fail_reason: Tensor
    returns: Tensor
    reward: Tensor

    def arrays(self, control_dt: float) -> Episodes:
        episodes = Episodes()
        episodes.motion_ids, episodes.start_times = view(self.motion_ids), view(self.start_times)
        episodes.steps, episodes.done = view(self.steps), view(self.done)
        episodes.fail_reason, episodes.returns = view(self.fail_reason), view(self.returns)
        episodes.reward = view(self.reward)
        episodes.control_dt = control_dt
        return episodes


def empty_poses(num_envs: int, num_bodies: int, num_dofs: int, device: torch.device) -> Poses:
    """Room for N reference poses."""

    def room(*shape: int) -> Tensor:
        return torch.zeros(num_envs, *shape, device=device)

    poses = Poses()
    poses.root_pos, poses.root_vel = view(room(3), wp.vec3), view(room(3), wp.vec3)
    poses.root_ang_vel, poses.root_rot = view(room(3), wp.vec3), view(room(4), wp.quat)
    poses.dof_vel, poses.contacts = view(room(num_dofs)), view(room(num_bodies))
    poses.joint_rot = view(room(num_bodies - 1, 4), wp.quat)
    poses.body_pos = view(room(num_bodies, 3), wp.vec3)
    return poses
