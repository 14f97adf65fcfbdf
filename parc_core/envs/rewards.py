"""Reward terms of the tracking task (spec section 6; after DeepMimic, Peng et al. 2018, eq. 6–9, with PARC's weights).

A term is an error e ≥ 0 that is 0 where the character equals its reference. The reward is
Σ wᵢ · exp(−scaleᵢ · exponentᵢ · eᵢ) over `REWARD_TERMS`, with wᵢ and exponentᵢ from the config keys `<name>_w` and
`<name>_exponent`. The fused environment has the same errors in `envs/warp/rewards.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, NamedTuple

import torch
from torch import Tensor

from parc_core.rotations import heading_quat_inv, quat_diff_angle, quat_mul, quat_rotate

ROOT_ROT_SHARE = 0.1  # of the root's squared angle beside its squared distance, m²/rad²
ROOT_ANG_VEL_SHARE = 0.1  # of the root's squared angular velocity beside its squared velocity, m²/rad²
FULL_CONTACT_FORCE = 1.0  # N; more does not count more


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
    """(N, B, 3) m, world; relative to the root within `Compared`."""


@dataclass
class Compared:
    """Character and reference in the axes in which they are compared, see `compare`."""

    char: Pose
    ref: Pose
    root_pos_diff: Tensor
    """(N, 3) m, reference − character, zero along axes that do not count."""
    joint_weights: Tensor
    """(J-1,)."""
    dof_weights: Tensor
    """(D,)."""


def compare(
    char: Pose, ref: Pose, joint_weights: Tensor, dof_weights: Tensor, track_root: bool, track_root_h: bool
) -> Compared:
    """Prepares two world poses for the terms; key positions become relative to their own roots.

    Without `track_root` horizontal position does not count and everything is compared in each one's own heading frame;
    without `track_root_h` height does not count.
    """
    pos_diff = ref.root_pos - char.root_pos
    char, ref = (replace(p, key_pos=p.key_pos - p.root_pos[:, None]) for p in (char, ref))
    if not track_root:
        pos_diff = pos_diff * pos_diff.new_tensor((0.0, 0.0, 1.0))
        char, ref = _in_own_heading(char), _in_own_heading(ref)
    if not track_root_h:
        pos_diff = pos_diff * pos_diff.new_tensor((1.0, 1.0, 0.0))
    return Compared(char, ref, pos_diff, joint_weights, dof_weights)


def _in_own_heading(pose: Pose) -> Pose:
    """The root's rotation and all vectors relative to the root, seen in its heading frame."""
    inv = heading_quat_inv(pose.root_rot)
    return replace(
        pose,
        root_rot=quat_mul(inv, pose.root_rot),
        root_vel=quat_rotate(inv, pose.root_vel),
        root_ang_vel=quat_rotate(inv, pose.root_ang_vel),
        key_pos=quat_rotate(inv[:, None], pose.key_pos),
    )


def pose_error(c: Compared) -> Tensor:
    """Σ w_j · angle_j² over joints, rad². (N,)."""
    angle = quat_diff_angle(c.char.joint_rot, c.ref.joint_rot)
    return (c.joint_weights * angle * angle).sum(-1)


def vel_error(c: Compared) -> Tensor:
    """Σ w_d · Δ² over dof velocities, rad²/s². (N,)."""
    return (c.dof_weights * (c.ref.dof_vel - c.char.dof_vel) ** 2).sum(-1)


def root_error(c: Compared) -> Tensor:
    """|Δp|² + 0.1 angle² of the root, m². (N,)."""
    angle = quat_diff_angle(c.char.root_rot, c.ref.root_rot)
    return (c.root_pos_diff * c.root_pos_diff).sum(-1) + ROOT_ROT_SHARE * angle * angle


def root_vel_error(c: Compared) -> Tensor:
    """|Δv|² + 0.1 |Δω|² of the root, m²/s². (N,)."""
    vel, ang_vel = c.ref.root_vel - c.char.root_vel, c.ref.root_ang_vel - c.char.root_ang_vel
    return (vel * vel).sum(-1) + ROOT_ANG_VEL_SHARE * (ang_vel * ang_vel).sum(-1)


def key_error(c: Compared) -> Tensor:
    """Σ |Δkey|² of key positions relative to their own roots, m². (N,)."""
    diff = c.ref.key_pos - c.char.key_pos
    return (diff * diff).sum((-1, -2))


class RewardTerm(NamedTuple):
    """One term of the reward."""

    name: str
    """Prefix of its config keys."""
    scale: float
    """Of its error, 1 / the error's unit."""
    error: Callable[[Compared], Tensor]
    """(N,)."""


REWARD_TERMS = (
    RewardTerm("pose", 0.25, pose_error),
    RewardTerm("vel", 0.01, vel_error),
    RewardTerm("root_pos", 5.0, root_error),
    RewardTerm("root_vel", 1.0, root_vel_error),
    RewardTerm("key_pos", 10.0, key_error),
)
"""All T terms."""


def reward_terms(compared: Compared, rates: Tensor) -> Tensor:
    """exp(−rate · error) of every term, 1 where the character equals its reference.

    Args:
        rates: (T,) scale · exponent.

    Returns:
        (N, T).
    """
    errors = torch.stack([term.error(compared) for term in REWARD_TERMS], dim=-1)
    return torch.exp(-rates * errors)


def contact_reward(contact_forces: Tensor, tar_contacts: Tensor, weights: Tensor) -> Tensor:
    """weight · (2c − 1) · min(|F|, 1) per body: touching is paid where the reference touches, else it costs.

    Args:
        contact_forces: (N, J, 3) N.
        tar_contacts: (N, J) in [0, 1].
        weights: (J,).

    Returns:
        (N, J); the environment adds the mean over bodies.
    """
    force: Tensor = contact_forces.norm(dim=-1).clamp(max=FULL_CONTACT_FORCE)
    return weights * (2.0 * tar_contacts - 1.0) * force
