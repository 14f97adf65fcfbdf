"""Golden file 01: skeleton tables, dofs, forward kinematics, dof velocities, quaternion primitives."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from tests.golden.conftest import load_numbers

HUMANOID = Path(__file__).resolve().parents[2] / "data" / "assets" / "humanoid.xml"


@pytest.fixture(scope="module")
def golden(golden_dir):
    return load_numbers(golden_dir / "01_kin_char.npz")


@pytest.fixture(scope="module")
def kinematics():
    return Kinematics(load_character(HUMANOID))


def close(got, want, atol=2e-6):
    assert_close(got, want, atol=atol, rtol=1e-5)


def close_rotation(got, want, atol=2e-6):
    """Quaternions as rotations: q and -q are the same."""
    sign = torch.where((got * want).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    close(sign * got, want, atol)


def close_angle_vector(got, want, atol=2e-6):
    """Rotation vectors: at half a turn v and -v are the same."""
    half_turn = (got.norm(dim=-1) - torch.pi).abs() < 1e-3
    flip = half_turn & ((got * want).sum(-1) < 0)
    close(torch.where(flip[..., None], -got, got), want, atol)


def test_skeleton_tables(golden, kinematics):
    character = kinematics.character
    assert character.body_names == golden["body_names"].tolist()
    assert character.joint_names == golden["joint_names"].tolist()
    assert character.body_names == golden["contact_body_names"].tolist()
    assert character.joint_types == golden["joint_types"].tolist()
    assert character.dof_size == int(golden["dof_size"])
    assert torch.equal(character.parent_indices, golden["parent_indices"])
    assert torch.equal(character.joint_dof_idx, golden["joint_dof_idx"])
    assert torch.equal(character.joint_dof_dim, golden["joint_dof_dim"])
    close(character.local_translation, golden["local_translation"], 1e-7)
    close(character.local_rotation, golden["local_rotation"], 1e-7)
    close(character.dof_lower, golden["lower_dof_limits"])
    close(character.dof_upper, golden["upper_dof_limits"])
    hinge = torch.tensor([t == "HINGE" for t in character.joint_types])
    assert hinge.any()
    close(character.joint_axis[hinge], golden["joint_axis"][hinge])


def test_dof_to_rotation_and_back(golden, kinematics):
    close_rotation(kinematics.dof_to_rot(golden["dof"]), golden["joint_rot"])
    close(kinematics.rot_to_dof(golden["joint_rot"]), golden["dof_back"], 1e-5)
    close(kinematics.rot_to_dof(golden["joint_rot_signflip"]), golden["dof_back_signflip"], 1e-5)


def test_forward_kinematics(golden, kinematics):
    pos, rot = kinematics.forward(golden["root_pos"], golden["root_rot"], golden["joint_rot"])
    close(pos, golden["body_pos"], 1e-5)
    close_rotation(rot, golden["body_rot"])


def test_dof_velocities(golden, kinematics):
    dt = float(golden["seq_dt"])
    seq = golden["seq_joint_rot"]
    vel = kinematics.dof_velocity(seq[:-1], seq[1:], dt)
    close(vel, golden["seq_dof_vel"][:-1], 1e-4)
    close(vel[-1], golden["seq_dof_vel"][-1], 1e-4)  # the last frame repeats the one before
    close(kinematics.dof_velocity(golden["pair_rot0"], golden["pair_rot1"], dt), golden["pair_dof_vel"], 1e-4)


def test_long_rotation_vectors(golden):
    quat = rotations.exp_map_to_quat(golden["expmap_big"])
    close_rotation(quat, golden["expmap_big_quat"])
    close_angle_vector(rotations.quat_to_exp_map(golden["expmap_big_quat"]), golden["expmap_big_back"], 1e-5)


def test_quaternion_primitives(golden):
    a, b, v = golden["q_a"], golden["q_b"], golden["v3"]
    close(rotations.quat_mul(a, b), golden["quat_mul"])
    close(rotations.quat_rotate(a, v), golden["quat_rotate"])
    close(rotations.quat_conj(a), golden["quat_conj"])
    close(rotations.quat_pos(a), golden["quat_pos"])
    close(rotations.quat_to_tan_norm(a), golden["tan_norm"])
    close_rotation(rotations.yaw_quat(rotations.heading(a)), golden["heading_quat"])
    close_rotation(rotations.heading_quat_inv(a), golden["heading_quat_inv"])
    close_angle(rotations.heading(a), golden["heading"])
    # The reference takes 2·acos(w), which loses digits next to no rotation at all.
    close(rotations.quat_diff_angle(a, b), golden["quat_diff_angle"], 1e-3)
    close_rotation(rotations.slerp(a, b, golden["t"][:, None]), golden["slerp"], 2e-3)


def close_angle(got, want, atol=2e-6):
    close(rotations.normalize_angle(got - want), torch.zeros_like(want), atol)


def test_axis_angle(golden):
    angle = rotations.quat_to_exp_map(golden["q_a"]).norm(dim=-1)
    close_angle(angle, golden["angle"], 1e-5)
    close(rotations.quat_to_exp_map(golden["q_a"]), golden["axis"] * angle[:, None], 1e-5)
    close_angle_vector(rotations.quat_to_exp_map(golden["q_a"]), golden["exp_map"], 1e-5)
    close_rotation(rotations.exp_map_to_quat(golden["v3"]), golden["exp_to_quat"])
    close_rotation(
        rotations.axis_angle_to_quat(golden["axis"], golden["angle"]), golden["axis_angle_to_quat"]
    )


def test_plane_rotation_and_angles(golden):
    close(rotations.rotate_2d(golden["v3"][:, :2], golden["t"]), golden["rotate_2d"])
    close_angle(rotations.normalize_angle(golden["norm_angle_in"]), golden["norm_angle_out"])
    assert bool((rotations.normalize_angle(golden["norm_angle_in"]).abs() <= torch.pi + 1e-6).all())
