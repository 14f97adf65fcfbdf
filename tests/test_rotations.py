"""Hand-computed rotations."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from parc_core import rotations

HALF = math.sqrt(0.5)
X, Y, Z = torch.eye(3)


def quat(*numbers):
    return torch.tensor(numbers, dtype=torch.float32)


ABOUT_X_90, ABOUT_Z_90 = quat(HALF, 0, 0, HALF), quat(0, 0, HALF, HALF)


def test_rotate_a_vector():
    assert_close(rotations.quat_rotate(ABOUT_Z_90, X), Y)
    assert_close(rotations.quat_rotate(ABOUT_X_90, Y), Z)


def test_product_turns_by_the_right_factor_first():
    both = rotations.quat_mul(ABOUT_Z_90, ABOUT_X_90)
    assert_close(both, quat(0.5, 0.5, 0.5, 0.5))  # x -> y -> z -> x
    assert_close(rotations.quat_rotate(both, Y), Z)


def test_exp_map_of_a_quarter_turn():
    assert_close(rotations.exp_map_to_quat(torch.tensor([0.0, 0.0, math.pi / 2])), ABOUT_Z_90)
    assert_close(rotations.quat_to_exp_map(-ABOUT_Z_90), torch.tensor([0.0, 0.0, math.pi / 2]))


def test_exp_map_longer_than_half_a_turn_comes_back_shorter():
    quaternion = rotations.exp_map_to_quat(torch.tensor([1.5 * math.pi, 0.0, 0.0]))
    assert float(quaternion[3]) >= 0
    assert_close(rotations.quat_to_exp_map(quaternion), torch.tensor([-0.5 * math.pi, 0.0, 0.0]))


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-7, 1e-5, 1e-3])
def test_tiny_exp_maps_survive(angle):
    vector = torch.tensor([0.0, angle, 0.0])
    assert_close(rotations.quat_to_exp_map(rotations.exp_map_to_quat(vector)), vector, atol=1e-12, rtol=1e-5)


def test_difference_angle_ignores_the_sign():
    assert_close(rotations.quat_diff_angle(quat(0, 0, 0, 1), -ABOUT_X_90), torch.tensor(math.pi / 2))


@pytest.mark.parametrize("arc", [1e-5, 5e-4, 0.01, 1.0, 3.0])
@pytest.mark.parametrize("t", [0.0, 0.25, 1.0])
def test_slerp_turns_evenly_at_every_arc(arc, t):
    end = rotations.exp_map_to_quat(torch.tensor([0.0, arc, 0.0]))
    got = rotations.slerp(quat(0, 0, 0, 1), -end, torch.tensor([t]))
    assert_close(rotations.quat_to_exp_map(got), torch.tensor([0.0, t * arc, 0.0]), atol=1e-6, rtol=1e-4)
    assert_close(got.norm(), torch.tensor(1.0))


def test_tan_norm_is_the_image_of_x_and_z():
    assert_close(rotations.quat_to_tan_norm(ABOUT_X_90), quat(1, 0, 0, 0, -1, 0), atol=1e-6, rtol=0)


def test_heading_of_a_turned_and_tilted_body():
    tilted = rotations.quat_mul(ABOUT_Z_90, rotations.exp_map_to_quat(torch.tensor([0.0, 0.3, 0.0])))
    assert_close(rotations.heading(tilted), torch.tensor(math.pi / 2))
    level = rotations.quat_mul(rotations.heading_quat_inv(tilted), tilted)
    assert_close(rotations.heading(level), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_angles_wrap():
    angles = torch.tensor([3 * math.pi / 2, -3 * math.pi / 2, 0.5])
    assert_close(rotations.normalize_angle(angles), torch.tensor([-math.pi / 2, math.pi / 2, 0.5]))
