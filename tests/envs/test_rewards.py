"""Reward terms, computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from parc_core.envs import rewards
from parc_core.envs.rewards import REWARD_TERMS, Compared, Pose
from parc_core.rotations import yaw_quat

NAMES = [term.name for term in REWARD_TERMS]
SCALES = torch.tensor([term.scale for term in REWARD_TERMS])
IDENTITY = (0.0, 0.0, 0.0, 1.0)


def quat(axis: str, angle: float) -> Tensor:
    """(4,) rotation about x, y or z."""
    q = torch.zeros(4)
    q["xyz".index(axis)] = math.sin(angle / 2)
    q[3] = math.cos(angle / 2)
    return q


def pose(joints: int = 2, dofs: int = 4, keys: int = 2) -> Pose:
    return Pose(
        root_pos=torch.zeros(1, 3),
        root_rot=torch.tensor([IDENTITY]),
        root_vel=torch.zeros(1, 3),
        root_ang_vel=torch.zeros(1, 3),
        joint_rot=torch.tensor(IDENTITY).repeat(1, joints, 1),
        dof_vel=torch.zeros(1, dofs),
        key_pos=torch.zeros(1, keys, 3),
    )


def compared(char: Pose, ref: Pose, track_root: bool = True, track_root_h: bool = True) -> Compared:
    ones_j, ones_d = torch.ones(char.joint_rot.shape[1]), torch.ones(char.dof_vel.shape[1])
    return rewards.compare(char, ref, ones_j, ones_d, track_root, track_root_h)


def terms(char: Pose, ref: Pose, track_root: bool = True, track_root_h: bool = True) -> dict[str, float]:
    """Each term with exponent 1, by name."""
    values = rewards.reward_terms(compared(char, ref, track_root, track_root_h), SCALES)[0]
    return dict(zip(NAMES, values.tolist()))


def test_all_terms_are_one_on_the_reference() -> None:
    assert terms(pose(), pose()) == pytest.approx(dict.fromkeys(NAMES, 1.0))


def test_pose_sums_weighted_squared_angles() -> None:
    turned = replace(pose(), joint_rot=torch.stack((quat("x", 0.4), quat("z", -1.0)))[None])
    weighted = replace(compared(turned, pose()), joint_weights=torch.tensor([1.0, 0.5]))
    assert float(rewards.pose_error(weighted)) == pytest.approx(0.4**2 + 0.5 * 1.0**2, rel=1e-5)
    expected = math.exp(-0.25 * (0.4**2 + 1.0**2))
    assert terms(turned, pose())["pose"] == pytest.approx(expected, rel=1e-5)


def test_pose_ignores_the_sign_of_a_quaternion() -> None:
    q = quat("y", 0.3)[None, None]
    char, ref = replace(pose(1), joint_rot=q), replace(pose(1), joint_rot=-q)
    assert terms(char, ref)["pose"] == pytest.approx(1.0, abs=1e-6)


def test_velocity_term() -> None:
    char = replace(pose(), dof_vel=torch.tensor([[1.0, 0.0, 2.0, 0.0]]))
    ref = replace(pose(), dof_vel=torch.tensor([[0.0, 3.0, 2.0, 0.0]]))
    weighted = replace(compared(char, ref), dof_weights=torch.tensor([1.0, 0.5, 9.0, 9.0]))
    assert float(rewards.vel_error(weighted)) == pytest.approx(1.0 + 0.5 * 9.0, rel=1e-6)
    assert terms(char, ref)["vel"] == pytest.approx(math.exp(-0.01 * (1.0 + 9.0)), rel=1e-6)


def test_root_term() -> None:
    ref = replace(pose(), root_pos=torch.tensor([[0.1, -0.2, 0.2]]), root_rot=quat("x", 0.5)[None])
    assert terms(pose(), ref)["root_pos"] == pytest.approx(math.exp(-5.0 * (0.09 + 0.1 * 0.25)), rel=1e-5)


def test_root_velocity_term() -> None:
    ref = replace(
        pose(), root_vel=torch.tensor([[1.0, 0.0, 0.5]]), root_ang_vel=torch.tensor([[0.0, 2.0, 0.0]])
    )
    assert terms(pose(), ref)["root_vel"] == pytest.approx(math.exp(-(1.25 + 0.1 * 4.0)), rel=1e-6)


def test_key_term_sums_over_keys() -> None:
    ref = replace(pose(), key_pos=torch.tensor([[[0.1, 0.0, 0.0], [0.0, 0.2, 0.1]]]))
    assert terms(pose(), ref)["key_pos"] == pytest.approx(math.exp(-10.0 * (0.01 + 0.05)), rel=1e-6)


def test_rates_multiply_each_terms_own_error() -> None:
    ref = replace(pose(), root_vel=torch.tensor([[1.0, 0.0, 0.0]]))
    rates = torch.zeros(len(NAMES))
    rates[NAMES.index("root_vel")] = 3.0
    got = rewards.reward_terms(compared(pose(), ref), rates)[0].tolist()
    assert got == pytest.approx([math.exp(-3.0) if name == "root_vel" else 1.0 for name in NAMES])


def test_keys_are_relative_to_their_own_root() -> None:
    moved = replace(
        pose(), root_pos=torch.tensor([[1.0, 2.0, 0.0]]), key_pos=torch.tensor([[[1.0, 2.0, 0.0]] * 2])
    )
    assert terms(moved, pose())["key_pos"] == pytest.approx(1.0)


def test_without_track_root_only_height_and_own_heading_count() -> None:
    """A character that turned by 1 rad about z, elsewhere, but moves alike in its own frame."""
    char, turn = pose(), yaw_quat(torch.tensor([1.0]))
    c, s = math.cos(1.0), math.sin(1.0)
    turned = replace(
        char,
        root_pos=torch.tensor([[3.0, -2.0, 0.1]]),
        root_rot=turn,
        root_vel=torch.tensor([[c, s, 0.0]]),
        root_ang_vel=torch.tensor([[-s, c, 0.0]]),
        key_pos=torch.tensor([[[3.0 + c, -2.0 + s, 0.1], [3.0, -2.0, 0.1]]]),
    )
    ref = replace(
        char,
        root_vel=torch.tensor([[1.0, 0.0, 0.0]]),
        root_ang_vel=torch.tensor([[0.0, 1.0, 0.0]]),
        key_pos=torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]),
    )
    got = terms(turned, ref, track_root=False)
    expected = {**dict.fromkeys(NAMES, 1.0), "root_pos": math.exp(-5.0 * 0.01)}
    assert got == pytest.approx(expected, abs=1e-5)
    without = terms(turned, ref, track_root=False, track_root_h=False)
    assert without["root_pos"] == pytest.approx(1.0, abs=1e-5)
    assert terms(turned, ref)["root_pos"] < 1e-6


def test_without_track_root_h_height_does_not_count() -> None:
    higher = replace(pose(), root_pos=torch.tensor([[0.1, 0.0, 5.0]]))
    got = terms(higher, pose(), track_root_h=False)["root_pos"]
    assert got == pytest.approx(math.exp(-5.0 * 0.01), rel=1e-5)


def test_contact_reward_pays_up_to_one_newton() -> None:
    forces = torch.tensor([[[0.0, 0.0, 300.0], [0.0, 0.0, 0.5], [0.3, 0.0, 0.4], [0.0, 0.0, 0.0]]])
    wanted = torch.tensor([[1.0, 1.0, 0.0, 1.0]])
    got = rewards.contact_reward(forces, wanted, torch.tensor([5.0, 2.0, 4.0, 5.0]))
    assert got[0].tolist() == pytest.approx([5.0, 1.0, -2.0, 0.0])
    half = rewards.contact_reward(forces, torch.full((1, 4), 0.5), torch.ones(4))
    assert half.abs().max() == 0.0
