"""The seven tracking errors and the joint error by which trackers are compared (spec section 6)."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.envs.rewards import Pose
from parc_core.rotations import quat_diff_angle

NAMES = (
    "root_pos_m",
    "root_rot_rad",
    "body_pos_m",
    "body_rot_rad",
    "dof_vel_rad_s",
    "root_vel_m_s",
    "root_ang_vel_rad_s",
)


def tracking_errors(
    char: Pose, ref: Pose, body_pos: Tensor, tar_body_pos: Tensor, body_rot: Tensor, tar_body_rot: Tensor
) -> Tensor:
    """Errors in the order of `NAMES`. body_* are (N, J, 3) and (N, J, 4), root first. Returns (N, 7).

    Body errors are means over all J bodies (the root's relative position counts as 0), velocity errors means of the
    components' magnitudes.
    """
    rel = (body_pos - body_pos[:, :1]) - (tar_body_pos - tar_body_pos[:, :1])
    return torch.stack(
        (
            (ref.root_pos - char.root_pos).norm(dim=-1),
            quat_diff_angle(char.root_rot, ref.root_rot),
            rel.norm(dim=-1).mean(-1),
            quat_diff_angle(body_rot, tar_body_rot).mean(-1),
            (ref.dof_vel - char.dof_vel).abs().mean(-1),
            (ref.root_vel - char.root_vel).abs().mean(-1),
            (ref.root_ang_vel - char.root_ang_vel).abs().mean(-1),
        ),
        dim=-1,
    )


def joint_error(body_pos: Tensor, tar_body_pos: Tensor) -> Tensor:
    """Mean distance of all bodies from their reference in the world frame, m. (N, J, 3) -> (N,)."""
    error: Tensor = (body_pos - tar_body_pos).norm(dim=-1).mean(-1)
    return error
