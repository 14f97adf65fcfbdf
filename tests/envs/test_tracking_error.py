"""The seven tracking errors and the joint error, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from parc_core.envs.rewards import Pose
from parc_core.envs.tracking_error import NAMES, joint_error, tracking_errors
from parc_core.rotations import yaw_quat


def pose(root_pos: tuple, yaw: float, root_vel: tuple, root_ang_vel: tuple, dof_vel: tuple) -> Pose:
    return Pose(
        root_pos=torch.tensor([root_pos]),
        root_rot=yaw_quat(torch.tensor([yaw])),
        root_vel=torch.tensor([root_vel]),
        root_ang_vel=torch.tensor([root_ang_vel]),
        joint_rot=torch.zeros(1, 0, 4),
        dof_vel=torch.tensor([dof_vel]),
        key_pos=torch.zeros(1, 0, 3),
    )


def test_every_error() -> None:
    char = pose((3.0, 4.0, 0.0), 0.5, (1.0, 0.0, -0.5), (0.0, 0.3, 0.0), (0.0, 1.0, -3.0, 0.0))
    ref = pose((0.0, 0.0, 0.0), 0.2, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
    body_pos = torch.tensor([[[3.0, 4.0, 0.0], [3.0, 4.0, 1.6]]])
    ref_pos = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
    body_rot = yaw_quat(torch.tensor([[0.5, 0.1]]))
    ref_rot = yaw_quat(torch.tensor([[0.2, 0.2]]))
    got = tracking_errors(char, ref, body_pos, ref_pos, body_rot, ref_rot)[0].tolist()
    expected = {
        "root_pos_m": 5.0,
        "root_rot_rad": 0.3,
        "body_pos_m": 0.6 / 2,  # the root's own relative position counts as 0
        "body_rot_rad": (0.3 + 0.1) / 2,
        "dof_vel_rad_s": (1.0 + 3.0) / 4,
        "root_vel_m_s": 1.5 / 3,
        "root_ang_vel_rad_s": 0.3 / 3,
    }
    assert dict(zip(NAMES, got)) == pytest.approx(expected, rel=1e-5)


def test_joint_error_is_a_distance_in_the_world() -> None:
    position = torch.zeros(1, 2, 3)
    target = torch.tensor([[[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]]])
    assert float(joint_error(position, target)) == pytest.approx(3.0)
    assert math.isclose(float(joint_error(target, target)), 0.0)
