"""Leg inverse kinematics against angles worked out by hand, and against forward kinematics."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import DataError
from parc_core.motion.synthetic.ik import SIDES, Leg, find_leg, solve_leg

IDENTITY = torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
ORIGIN = torch.zeros(1, 3, dtype=torch.float64)


@pytest.fixture(scope="module")
def character():
    return load_character(PROJECT_ROOT / "data/assets/humanoid.xml")


@pytest.fixture
def leg():
    """Thigh 0.4 m, shin 0.3 m: with hip and ankle 0.5 m apart the knee is a right angle."""
    return Leg(1, 2, 3, (0.0, 0.0, 0.0), 0.4, 0.3, sole=0.05, toe=0.1, heel=0.05, half_width=0.04)


def pitch(angle):
    return rotations.exp_map_to_quat(torch.tensor([[0.0, angle, 0.0]], dtype=torch.float64))


def assert_same(got, want):
    torch.testing.assert_close(rotations.quat_pos(got), rotations.quat_pos(want), atol=1e-7, rtol=0)


def test_right_angle_below_the_hip(leg):
    ankle = torch.tensor([[0.0, 0.0, -0.5]], dtype=torch.float64)
    hip, knee, foot = solve_leg(leg, (ORIGIN, IDENTITY), (ankle, IDENTITY))
    assert_same(hip, pitch(-math.atan2(3, 4)))  # the thigh goes forward
    assert_same(knee, pitch(math.pi / 2))
    assert_same(foot, pitch(math.atan2(3, 4) - math.pi / 2))  # the sole stays level


def test_straight_leg(leg):
    ankle = torch.tensor([[0.0, 0.0, -0.7]], dtype=torch.float64)
    for joint in solve_leg(leg, (ORIGIN, IDENTITY), (ankle, IDENTITY)):
        assert_same(joint, IDENTITY)


def test_out_of_reach_points_a_straight_leg_at_the_target(leg):
    ankle = torch.tensor([[3.0, 0.0, -3.0]], dtype=torch.float64)
    hip, knee, _ = solve_leg(leg, (ORIGIN, IDENTITY), (ankle, IDENTITY))
    assert_same(knee, IDENTITY)
    assert_same(hip, pitch(-math.pi / 4))


def test_target_beside_rolls_the_hip(leg):
    """An ankle 0.7 m away, 45 degrees to the left: rotation about x by 45 degrees, no twist."""
    half = 0.7 * math.sqrt(0.5)
    ankle = torch.tensor([[0.0, half, -half]], dtype=torch.float64)
    hip, _, _ = solve_leg(leg, (ORIGIN, IDENTITY), (ankle, IDENTITY))
    want = rotations.exp_map_to_quat(torch.tensor([[math.pi / 4, 0.0, 0.0]], dtype=torch.float64))
    assert_same(hip, want)


def test_the_knee_bends_about_the_axis_that_is_given(leg):
    """A right-angled knee whose axis is x: the thigh goes right, and what of the axis is along the leg is unheeded."""
    ankle = torch.tensor([[0.0, 0.0, -0.5]], dtype=torch.float64)
    axis = torch.tensor([[1.0, 0.0, 0.3]], dtype=torch.float64)
    hip, knee, foot = solve_leg(leg, (ORIGIN, IDENTITY), (ankle, IDENTITY), axis)
    assert_same(knee, pitch(math.pi / 2))
    thigh = rotations.quat_rotate(hip, torch.tensor([[0.0, 0.0, -0.4]], dtype=torch.float64))
    shin = rotations.quat_mul(hip, knee)
    torch.testing.assert_close(thigh, torch.tensor([[0.0, -0.24, -0.32]], dtype=torch.float64))
    reached = thigh + rotations.quat_rotate(shin, torch.tensor([[0.0, 0.0, -0.3]], dtype=torch.float64))
    torch.testing.assert_close(reached, ankle)
    turned = rotations.quat_rotate(hip, torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(turned, torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64))
    assert_same(rotations.quat_mul(shin, foot), IDENTITY)


def test_forward_kinematics_reaches_random_targets(character):
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64) * 2 - 1

    n = 200
    pelvis = (random(n, 3), rotations.exp_map_to_quat(random(n, 3)))
    joint_rot = torch.zeros(n, 14, 4, dtype=torch.float64)
    joint_rot[..., 3] = 1.0
    targets = []
    for side in SIDES:
        leg = find_leg(character, side)
        local = torch.tensor(leg.hip_offset) + torch.tensor([0.0, 0.0, -0.6]) + 0.18 * random(n, 3)
        foot = (pelvis[0] + rotations.quat_rotate(pelvis[1], local), rotations.exp_map_to_quat(random(n, 3)))
        for body, rotation in zip((leg.thigh, leg.shin, leg.foot), solve_leg(leg, pelvis, foot)):
            joint_rot[:, body - 1] = rotation
        targets.append((leg.foot, foot))
    body_pos, body_rot = Kinematics(character).forward(
        pelvis[0].float(), pelvis[1].float(), joint_rot.float()
    )
    for body, (position, rotation) in targets:
        torch.testing.assert_close(body_pos[:, body], position.float(), atol=1e-5, rtol=0)
        assert rotations.quat_diff_angle(body_rot[:, body], rotation.float()).max() < 1e-3


def test_sizes_of_the_humanoid(character):
    leg = find_leg(character, "left")
    assert leg.hip_offset == pytest.approx((0.0, 0.084887, 0.0))
    assert leg.length == pytest.approx(0.421546 + 0.40987)
    assert (leg.sole, leg.toe, leg.heel) == pytest.approx((0.05, 0.1335, 0.0435))


def test_a_character_without_foot_boxes_is_an_error(character):
    barefoot = dataclasses.replace(character, geoms=[g for g in character.geoms if g.type != "box"])
    with pytest.raises(DataError, match="right leg"):
        find_leg(barefoot, "right")
