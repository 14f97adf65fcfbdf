"""Reward terms of the tracking task (spec section 6; after DeepMimic, Peng et al. 2018, eq. 6–9, with PARC's weights).

Each term is (N,) in (0, 1] and is 1 where the character equals its reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from parc_core.rotations import heading_quat_inv, quat_diff_angle, quat_mul, quat_rotate


@dataclass
class Pose:
    """What the reward compares, once for the character and once for its reference."""

    root_pos: Tensor
    """(N, 3) m."""
    root_rot: Tensor
    """(N, 4)."""
    root_vel: Tensor
    """(N, 3) m/s."""
    root_ang_vel: Tensor
    """(N, 3) rad/s."""
    joint_rot: Tensor
    """(N, J-1, 4)."""
    dof_vel: Tensor
    """(N, D) rad/s."""
    key_pos: Tensor
    """(N, B, 3) m, world."""


def pose_reward(joint_rot: Tensor, tar_joint_rot: Tensor, joint_weights: Tensor) -> Tensor:
    """exp(−0.25 Σ w_j · angle_j²). (N, J-1, 4), (N, J-1, 4), (J-1,) -> (N,)."""
    angle = quat_diff_angle(joint_rot, tar_joint_rot)
    return torch.exp(-0.25 * (joint_weights * angle * angle).sum(-1))


def vel_reward(dof_vel: Tensor, tar_dof_vel: Tensor, dof_weights: Tensor) -> Tensor:
    """exp(−0.01 Σ w_d · Δ²). (N, D), (N, D), (D,) -> (N,)."""
    return torch.exp(-0.01 * (dof_weights * (tar_dof_vel - dof_vel) ** 2).sum(-1))


def root_reward(pos_diff: Tensor, root_rot: Tensor, tar_root_rot: Tensor) -> Tensor:
    """exp(−5 (|Δp|² + 0.1 angle²)). (N, 3), (N, 4), (N, 4) -> (N,)."""
    angle = quat_diff_angle(root_rot, tar_root_rot)
    return torch.exp(-5.0 * ((pos_diff * pos_diff).sum(-1) + 0.1 * angle * angle))


def root_vel_reward(vel_diff: Tensor, ang_vel_diff: Tensor) -> Tensor:
    """exp(−(|Δv|² + 0.1 |Δω|²)). (N, 3), (N, 3) -> (N,)."""
    return torch.exp(-((vel_diff * vel_diff).sum(-1) + 0.1 * (ang_vel_diff * ang_vel_diff).sum(-1)))


def key_reward(key_diff: Tensor) -> Tensor:
    """exp(−10 Σ |Δkey|²) of key positions relative to their own roots. (N, B, 3) -> (N,)."""
    return torch.exp(-10.0 * (key_diff * key_diff).sum((-1, -2)))


def tracking_reward_terms(
    char: Pose, ref: Pose, joint_weights: Tensor, dof_weights: Tensor, track_root: bool, track_root_h: bool
) -> Tensor:
    """The five terms pose, vel, root, root_vel, key. (N, 5).

    Without `track_root` horizontal position does not count and everything is compared in each one's own heading frame;
    without `track_root_h` height does not count.
    """
    pos_diff = ref.root_pos - char.root_pos
    char_key = char.key_pos - char.root_pos[:, None]
    ref_key = ref.key_pos - ref.root_pos[:, None]
    char_rot, ref_rot = char.root_rot, ref.root_rot
    char_vel, ref_vel, char_ang, ref_ang = char.root_vel, ref.root_vel, char.root_ang_vel, ref.root_ang_vel
    if not track_root:
        pos_diff = pos_diff * pos_diff.new_tensor((0.0, 0.0, 1.0))
        char_inv, ref_inv = heading_quat_inv(char_rot), heading_quat_inv(ref_rot)
        char_rot, ref_rot = quat_mul(char_inv, char_rot), quat_mul(ref_inv, ref_rot)
        char_vel, ref_vel = quat_rotate(char_inv, char_vel), quat_rotate(ref_inv, ref_vel)
        char_ang, ref_ang = quat_rotate(char_inv, char_ang), quat_rotate(ref_inv, ref_ang)
        char_key, ref_key = quat_rotate(char_inv[:, None], char_key), quat_rotate(ref_inv[:, None], ref_key)
    if not track_root_h:
        pos_diff = pos_diff * pos_diff.new_tensor((1.0, 1.0, 0.0))
    return torch.stack(
        (
            pose_reward(char.joint_rot, ref.joint_rot, joint_weights),
            vel_reward(char.dof_vel, ref.dof_vel, dof_weights),
            root_reward(pos_diff, char_rot, ref_rot),
            root_vel_reward(ref_vel - char_vel, ref_ang - char_ang),
            key_reward(ref_key - char_key),
        ),
        dim=-1,
    )


def contact_reward(contact_forces: Tensor, tar_contacts: Tensor, weights: Tensor) -> Tensor:
    """weight · (2c − 1) · min(|F|, 1) per body: touching is paid where the reference touches, else it costs.

    Args:
        contact_forces: (N, J, 3) N.
        tar_contacts: (N, J) in [0, 1].
        weights: (J,).

    Returns:
        (N, J); the environment adds the mean over bodies.
    """
    return weights * (2.0 * tar_contacts - 1.0) * contact_forces.norm(dim=-1).clamp(max=1.0)
