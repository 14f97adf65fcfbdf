"""Observation terms (spec section 6). Pure functions; N environments, J bodies, K future steps, P height points.

The default vector of 1312 numbers is char_obs 136 ‖ tar_obs 6×105 ‖ tar_contacts 6×15 ‖ char_contacts 15 ‖ heights 441.
"""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor

from parc_core.rotations import heading, heading_quat_inv, quat_mul, quat_rotate, quat_to_tan_norm, rotate_2d


def char_obs(
    root_pos: Tensor,
    root_rot: Tensor,
    root_vel: Tensor,
    root_ang_vel: Tensor,
    joint_rot: Tensor,
    dof_vel: Tensor,
    key_pos: Tensor,
    global_obs: bool = False,
    root_height_obs: bool = False,
) -> Tensor:
    """The character's own state in its heading frame.

    Args:
        root_pos: (N, 3) m; root_rot: (N, 4); root_vel: (N, 3) m/s; root_ang_vel: (N, 3) rad/s.
        joint_rot: (N, J-1, 4); dof_vel: (N, D) rad/s.
        key_pos: (N, B, 3) m, world positions of the key bodies; B may be 0.
        global_obs: leave vectors and root rotation in the world frame.
        root_height_obs: put root z in front.

    Returns:
        (N, 6 + 3 + 3 + 6(J-1) + D + 3B [+ 1]).
    """
    key_rel = key_pos - root_pos[:, None]
    if not global_obs:
        inv = heading_quat_inv(root_rot)
        root_rot = quat_mul(inv, root_rot)
        root_vel = quat_rotate(inv, root_vel)
        root_ang_vel = quat_rotate(inv, root_ang_vel)
        key_rel = quat_rotate(inv[:, None], key_rel)
    parts = [
        quat_to_tan_norm(root_rot),
        root_vel,
        root_ang_vel,
        quat_to_tan_norm(joint_rot).flatten(1),
        dof_vel,
        key_rel.flatten(1),
    ]
    if root_height_obs:
        parts.insert(0, root_pos[:, 2:])
    return torch.cat(parts, dim=1)


def target_obs(
    root_pos: Tensor,
    root_rot: Tensor,
    tar_root_pos: Tensor,
    tar_root_rot: Tensor,
    tar_joint_rot: Tensor,
    tar_key_pos: Tensor,
    global_obs: bool = False,
    global_root_height: bool = False,
) -> Tensor:
    """Future reference poses seen from the character's current position and heading.

    Args:
        root_pos: (N, 3), root_rot: (N, 4): of the simulated character.
        tar_root_pos: (N, K, 3); tar_root_rot: (N, K, 4); tar_joint_rot: (N, K, J-1, 4).
        tar_key_pos: (N, K, B, 3) m, world positions; B may be 0.
        global_obs: leave everything in the world frame's axes.
        global_root_height: the target root's z as it is, not relative to the character.

    Returns:
        (N, K, 3 + 6 + 6(J-1) + 3B).
    """
    root_rel = tar_root_pos - root_pos[:, None]
    if global_obs:
        # The reference measures keys from the target's own root here, and from the character's otherwise.
        key_rel = tar_key_pos - tar_root_pos[:, :, None]
    else:
        key_rel = tar_key_pos - root_pos[:, None, None]
        inv = heading_quat_inv(root_rot)[:, None]
        root_rel = quat_rotate(inv, root_rel)
        tar_root_rot = quat_mul(inv.expand_as(tar_root_rot), tar_root_rot)
        key_rel = quat_rotate(inv[:, :, None], key_rel)
    if global_root_height:
        root_rel = torch.cat((root_rel[..., :2], tar_root_pos[..., 2:]), dim=-1)
    return torch.cat(
        (
            root_rel,
            quat_to_tan_norm(tar_root_rot),
            quat_to_tan_norm(tar_joint_rot).flatten(2),
            key_rel.flatten(2),
        ),
        dim=-1,
    )


def contact_obs(contact_forces: Tensor, eps: float) -> Tensor:
    """1 where a body's contact force (N, J, 3) N exceeds eps in norm, else 0. (N, J) float."""
    return (contact_forces.norm(dim=-1) > eps).to(contact_forces.dtype)


def ray_points(
    dx: float, num_left: int, num_right: int, angle: float, points_behind: int, points_ahead: int
) -> Tensor:
    """Height sample points in the heading frame: a fan of rays, one after the other from the right to the left.

    Each ray holds `points_behind` points behind the root, the root itself and `points_ahead` before it, dx apart.

    Returns:
        ((left + right + 1) · (behind + ahead + 1), 2) m; 441 points for the defaults.
    """
    x = torch.arange(-points_behind, points_ahead + 1, dtype=torch.float32) * dx
    ray = torch.stack((x, torch.zeros_like(x)), dim=-1)
    angles = torch.arange(-num_right, num_left + 1, dtype=torch.float32) * angle
    return rotate_2d(ray[None], angles[:, None]).reshape(-1, 2)


def ray_points_world(points: Tensor, root_pos: Tensor, root_rot: Tensor) -> Tensor:
    """Turns heading-frame points (P, 2) by each character's heading and moves them to its root. (N, P, 2) m."""
    return rotate_2d(points[None], heading(root_rot)[:, None]) + root_pos[:, None, :2]


def height_obs(heights: Tensor, root_pos: Tensor, min_h: float, max_h: float) -> Tensor:
    """Terrain heights (N, P) m relative to the root's z, clamped to [min_h, max_h]."""
    return (heights - root_pos[:, 2:]).clamp(min_h, max_h)


def norm_mask(char_dim: int, tar_dim: int, other_dim: int) -> Tensor:
    """Which dimensions the normalizer treats: char_obs and tar_obs alone. (obs_dim,) bool."""
    return torch.arange(char_dim + tar_dim + other_dim) < char_dim + tar_dim


def split_sizes(num_joints: int, dofs: int, keys: int, steps: int, root_height: bool) -> Tuple[int, int]:
    """Lengths of char_obs and of the whole tar_obs."""
    char_dim = 12 + 6 * num_joints + dofs + 3 * keys + int(root_height)
    return char_dim, steps * (9 + 6 * num_joints + 3 * keys)
