"""Forward kinematics, dofs and their velocities, computed by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character

HUMANOID = Path(__file__).resolve().parents[2] / "data" / "assets" / "humanoid.xml"
IDENTITY = torch.tensor([0.0, 0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def kin():
    return Kinematics(load_character(HUMANOID))


def dof_of(kin, joint):
    return int(kin.character.joint_dof_idx[kin.character.joint_names.index(joint)])


def pose(kin, dof, root_pos=(0.0, 0.0, 0.0), root_rot=IDENTITY):
    """Body positions (J, 3) and rotations (J, 4) by name."""
    pos, rot = kin.forward(torch.tensor(root_pos), root_rot, kin.dof_to_rot(dof))
    names = kin.character.body_names
    return dict(zip(names, pos)), dict(zip(names, rot))


def near(got, want, atol=1e-6):
    assert_close(got, torch.tensor(want), atol=atol, rtol=0)


def test_t_pose(kin):
    pos, rot = pose(kin, torch.zeros(28), root_pos=(1.0, 2.0, 3.0))
    near(pos["pelvis"], [1.0, 2.0, 3.0])
    near(pos["head"], [1.0, 2.0, 3.0 + 0.236151 + 0.223894])
    # The hand: shoulder −0.18311, upper arm −0.274788, lower arm −0.258947 along y.
    near(pos["right_hand"], [1.0 - 0.02405, 2.0 - 0.716845, 3.0 + 0.236151 + 0.2435])
    near(pos["left_hand"], [1.0 - 0.02405, 2.0 + 0.716845, 3.0 + 0.236151 + 0.2435])
    near(pos["left_foot"], [1.0, 2.0 + 0.084887, 3.0 - 0.421546 - 0.40987])
    for quat in rot.values():
        near(quat, [0.0, 0.0, 0.0, 1.0])


def test_hinge_at_90_degrees(kin):
    dof = torch.zeros(28)
    dof[dof_of(kin, "right_elbow")] = math.pi / 2  # about z: the forearm along −y swings to +x
    pos, rot = pose(kin, dof)
    elbow = pos["right_lower_arm"]
    near(pos["right_hand"] - elbow, [0.258947, 0.0, 0.0])
    near(rot["right_hand"], [0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)])
    near(rot["right_upper_arm"], [0.0, 0.0, 0.0, 1.0])


def test_knee_bends_backwards(kin):
    dof = torch.zeros(28)
    dof[dof_of(kin, "left_knee")] = math.pi / 2  # about y: the shin along −z swings to −x
    pos, _ = pose(kin, dof)
    near(pos["left_foot"] - pos["left_shin"], [-0.40987, 0.0, 0.0])


def test_spherical_joint_is_a_rotation_vector(kin):
    dof = torch.zeros(28)
    start = dof_of(kin, "left_shoulder")
    # 120° about (1, 1, 1): x -> y -> z -> x, so the arm along y points along z. Euler angles would differ.
    dof[start : start + 3] = 2 * math.pi / 3 / math.sqrt(3)
    pos, rot = pose(kin, dof)
    near(pos["left_lower_arm"] - pos["left_upper_arm"], [0.0, 0.0, 0.274788])
    near(rot["left_upper_arm"], [0.5, 0.5, 0.5, 0.5])


def test_root_turn_carries_everything(kin):
    quarter = torch.tensor([0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)])
    pos, _ = pose(kin, torch.zeros(28), root_rot=quarter)
    near(pos["left_hand"], [-0.716845, -0.02405, 0.479651])  # (x, y) -> (−y, x)


def test_fixed_joints_are_identity(kin):
    rot = kin.dof_to_rot(torch.rand(3, 5, 28))
    for hand in ("right_hand", "left_hand"):
        assert torch.equal(rot[..., kin.character.body_id(hand) - 1, :], IDENTITY.expand(3, 5, 4))


def test_dofs_come_back(kin):
    dof = torch.rand(100, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert_close(kin.rot_to_dof(kin.dof_to_rot(dof)), dof, atol=1e-5, rtol=0)
    assert_close(kin.rot_to_dof(-kin.dof_to_rot(dof)), dof, atol=1e-5, rtol=0)


def test_dof_velocity_of_a_hinge(kin):
    dof0, dof1 = torch.zeros(28), torch.zeros(28)
    knee = dof_of(kin, "right_knee")
    dof0[knee], dof1[knee] = 0.5, 0.6
    velocity = kin.dof_velocity(kin.dof_to_rot(dof0), kin.dof_to_rot(dof1), 0.1)
    expected = torch.zeros(28)
    expected[knee] = 1.0
    assert_close(velocity, expected, atol=1e-5, rtol=0)


def test_dof_velocity_is_in_the_child_frame(kin):
    hip = dof_of(kin, "right_hip")
    joint = kin.character.body_id("right_thigh") - 1
    rot0 = kin.dof_to_rot(torch.zeros(28))
    rot0[joint] = rotations.exp_map_to_quat(torch.tensor([0.0, 0.0, math.pi / 2]))
    rot1 = rot0.clone()
    # About the parent's x axis, which the child turned by 90° about z sees as its −y axis.
    rot1[joint] = rotations.quat_mul(rotations.exp_map_to_quat(torch.tensor([0.2, 0.0, 0.0])), rot0[joint])
    velocity = kin.dof_velocity(rot0, rot1, 0.1)
    near(velocity[hip : hip + 3], [0.0, -2.0, 0.0], 1e-5)


def test_turned_bodies(tmp_path):
    """Bodies whose frame is turned against their parent's: local rotation first, then the joint's."""
    text = """<mujoco><worldbody><body name="a"><freejoint/><geom size="1"/>
      <body name="b" pos="0 0 1" euler="90 0 0"><joint name="j" axis="0 0 1" stiffness="1"/><geom size="1"/>
        <body name="c" pos="1 0 0"><geom size="1"/></body></body></body></worldbody>
      <actuator><motor joint="j" gear="1"/></actuator></mujoco>"""
    (tmp_path / "turned.xml").write_text(text)
    kin = Kinematics(load_character(tmp_path / "turned.xml"))
    pos, rot = kin.forward(torch.zeros(3), IDENTITY, kin.dof_to_rot(torch.tensor([math.pi / 2])))
    # In b the tip (1, 0, 0) turns to (0, 1, 0); b's y axis is a's z axis.
    near(pos[2], [0.0, 0.0, 2.0])
    near(rotations.quat_rotate(rot[2], torch.tensor([1.0, 0.0, 0.0])), [0.0, 0.0, 1.0])


def test_agrees_with_mujoco(kin):
    """Same poses through MuJoCo's own kinematics of the hinge joints (the spherical ones at zero)."""
    mujoco = pytest.importorskip("mujoco")
    model = mujoco.MjModel.from_xml_path(str(HUMANOID))
    data = mujoco.MjData(model)
    dof = torch.zeros(28)
    for joint, angle in {"right_elbow": 1.1, "left_elbow": -0.7, "right_knee": 0.9, "left_knee": 0.3}.items():
        dof[dof_of(kin, joint)] = angle
        data.qpos[model.jnt_qposadr[model.joint(joint).id]] = angle
    quat = rotations.exp_map_to_quat(torch.tensor([0.3, -0.4, 0.5]))
    data.qpos[:7] = [0.1, 0.2, 0.9, float(quat[3]), *quat[:3].tolist()]
    mujoco.mj_kinematics(model, data)
    pos, _ = kin.forward(torch.tensor([0.1, 0.2, 0.9]), quat, kin.dof_to_rot(dof))
    assert_close(pos, torch.from_numpy(data.xpos[1:]).float(), atol=1e-5, rtol=0)
