"""Characters from MJCF: the shipped one against the design's table, small ones by hand, and broken ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from parc_core.character.mjcf import load_character
from parc_core.errors import DataError
from parc_core.rotations import quat_rotate

HUMANOID = Path(__file__).resolve().parents[2] / "data" / "assets" / "humanoid.xml"

SMALL = """
<mujoco>
  <compiler angle="degree"/>
  <default>
    <joint stiffness="7" damping="0.7"/>
    <geom density="500"/>
    <default class="arm">
      <joint armature="0.5" stiffness="9"/>
      <default class="hand"><joint stiffness="11"/></default>
    </default>
  </default>
  <worldbody>
    <geom type="plane" size="1 1 1"/>
    <body name="base" pos="0 0 1">
      <freejoint/>
      <geom type="box" size="0.5 0.5 0.5"/>
      <body name="arm" pos="1 2 3" quat="2 0 0 0" childclass="arm">
        <joint name="arm_x" axis="1 0 0" range="-10 20"/>
        <joint name="arm_y" axis="0 1 0" range="-30 40" stiffness="8"/>
        <joint name="arm_z" axis="0 0 1" range="-50 60"/>
        <geom fromto="0 0 0 0 2 0" size="0.1" type="capsule"/>
        <body name="hand" euler="90 0 0">
          <joint name="grip" axis="0 2 0" class="hand"/>
          <geom type="sphere" size="0.1" mass="3"/>
          <body name="ring"><geom type="sphere" size="0.01"/></body>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="arm_x" gear="1"/><motor joint="arm_y" gear="2"/><motor joint="arm_z" gear="3"/>
    <motor joint="grip" gear="4"/>
  </actuator>
</mujoco>
"""


def write(tmp_path, text):
    path = tmp_path / "small.xml"
    path.write_text(text)
    return path


@pytest.fixture()
def small(tmp_path):
    return load_character(write(tmp_path, SMALL))


def test_humanoid_table():
    character = load_character(HUMANOID)
    assert character.num_bodies == 15
    assert character.dof_size == 28
    assert [character.body_names[p] for p in character.parent_indices[1:]] == [
        *("pelvis", "torso", "torso", "right_upper_arm", "right_lower_arm", "torso", "left_upper_arm"),
        *("left_lower_arm", "pelvis", "right_thigh", "right_shin", "pelvis", "left_thigh", "left_shin"),
    ]
    per_joint = {
        name: tuple(float(getattr(character, key)[start]) for key in ("kp", "kd", "armature", "effort"))
        for name, start, dim in zip(character.joint_names, character.joint_dof_idx, character.joint_dof_dim)
        if dim > 0
    }
    expected = {
        "abdomen": (1000, 100, 0.02, 200),
        "neck": (100, 10, 0.01, 50),
        **{f"{side}_shoulder": (400, 40, 0.02, 100) for side in ("right", "left")},
        **{f"{side}_elbow": (300, 30, 0.01, 70) for side in ("right", "left")},
        **{f"{side}_hip": (500, 50, 0.02, 200) for side in ("right", "left")},
        **{f"{side}_knee": (500, 50, 0.02, 150) for side in ("right", "left")},
        **{f"{side}_ankle": (400, 40, 0.01, 90) for side in ("right", "left")},
    }
    assert per_joint == {name: pytest.approx(numbers) for name, numbers in expected.items()}


def test_humanoid_mass():
    character = load_character(HUMANOID)
    assert sum(geom.mass for geom in character.geoms) == pytest.approx(50.05, abs=0.005)


def test_humanoid_mass_in_mujoco():
    mujoco = pytest.importorskip("mujoco")
    model = mujoco.MjModel.from_xml_path(str(HUMANOID))
    character = load_character(HUMANOID)
    masses = [sum(g.mass for g in character.geoms if g.body == b) for b in range(character.num_bodies)]
    assert masses == pytest.approx(model.body_mass[1:].tolist(), rel=1e-6)
    assert model.body_mass.sum() == pytest.approx(50.05, abs=0.005)


def test_small_tree(small):
    assert small.body_names == ["base", "arm", "hand", "ring"]
    assert small.joint_names == ["root", "arm", "grip", "ring"]
    assert small.joint_types == ["ROOT", "SPHERICAL", "HINGE", "FIXED"]
    assert small.joint_dof_idx.tolist() == [0, 0, 3, 4]
    assert small.joint_dof_dim.tolist() == [0, 3, 1, 0]
    assert small.local_translation[1].tolist() == [1, 2, 3]
    half = math.sqrt(0.5)
    assert_close(small.local_rotation[1:3], torch.tensor([[0.0, 0, 0, 1], [half, 0, 0, half]]))
    assert small.joint_axis[2].tolist() == [0, 1, 0]


def test_small_defaults_and_limits(small):
    assert small.kp.tolist() == [9, 8, 9, 11]  # class, own attribute, nested class
    assert_close(small.kd, torch.full((4,), 0.7))  # inherited through the nesting
    assert small.armature.tolist() == [0.5] * 4
    assert small.effort.tolist() == [1, 2, 3, 4]
    degrees = torch.rad2deg(torch.stack((small.dof_lower, small.dof_upper), -1))
    assert_close(degrees, torch.tensor([[-10.0, 20], [-30, 40], [-50, 60], [-180, 180]]))


def test_small_geoms(small):
    box, capsule, ball, ring = small.geoms
    assert box.mass == pytest.approx(500)
    assert capsule.size == pytest.approx((0.1, 1.0))
    assert capsule.pos == pytest.approx((0, 1, 0))
    assert capsule.fromto == (0, 0, 0, 0, 2, 0)
    half = math.sqrt(0.5)
    assert capsule.quat == pytest.approx((-half, 0, 0, half))  # turns z onto y
    assert capsule.volume == pytest.approx(math.pi * 0.01 * 2 + 4 / 3 * math.pi * 0.001)
    assert ball.mass == pytest.approx(3)
    assert [g.body for g in small.geoms] == [0, 1, 2, 3]
    assert len({g.name for g in small.geoms}) == 4
    assert ring.density == 500


def test_geom_orientation_agrees_with_mujoco(tmp_path):
    mujoco = pytest.importorskip("mujoco")
    text = SMALL.replace('fromto="0 0 0 0 2 0"', 'fromto="0.1 0.2 0.3 -0.4 0.7 -0.5"').replace("500", "1000")
    path = write(tmp_path, text.replace('euler="90 0 0"', 'euler="20 30 -40"'))
    character, model = load_character(path), mujoco.MjModel.from_xml_path(str(path))
    quats = torch.from_numpy(model.body_quat[1:]).float()[:, [1, 2, 3, 0]]
    assert_close(character.local_rotation, quats, atol=1e-6, rtol=0)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    capsule = character.geoms[1]
    mujoco_capsule = 2  # after the floor and the base
    assert capsule.pos == pytest.approx(model.geom_pos[mujoco_capsule].tolist(), abs=1e-6)
    assert capsule.size[:2] == pytest.approx(model.geom_size[mujoco_capsule][:2].tolist(), abs=1e-6)
    from_mujoco = torch.tensor(model.geom_quat[mujoco_capsule][[1, 2, 3, 0]]).float()
    z = torch.tensor([0.0, 0.0, 1.0])
    ours, theirs = quat_rotate(torch.tensor(capsule.quat), z), quat_rotate(from_mujoco, z)
    assert abs(float((ours * theirs).sum())) == pytest.approx(1.0, abs=1e-6)  # a capsule has no front end


def test_ball_joint(tmp_path):
    hinges = SMALL[SMALL.index('<joint name="arm_x"') : SMALL.index("<geom fromto")]
    ball = SMALL.replace(hinges, '<joint name="arm" type="ball" range="0 60" limited="true"/>')
    motors = ball.replace('joint="arm_x"', 'joint="arm"').replace('joint="arm_y"', 'joint="arm"')
    character = load_character(write(tmp_path, motors.replace('joint="arm_z"', 'joint="arm"')))
    assert character.joint_types[1] == "SPHERICAL"
    assert character.effort.tolist() == [1, 2, 3, 4]
    assert_close(torch.rad2deg(character.dof_lower[:3]), torch.full((3,), -60.0))


def test_body_lookup(small):
    assert small.body_id("hand") == 2
    with pytest.raises(DataError, match=r"no body 'hant'.*did you mean 'hand'"):
        small.body_id("hant")


def test_moves_to_a_device(small):
    moved = small.to("meta")
    assert moved.kp.device.type == moved.parent_indices.device.type == "meta"
    assert small.kp.device.type == "cpu"


BROKEN = {
    "not xml": ("<mujoco>", "<mujoco", "not well-formed"),
    "unknown class": ('axis="0 2 0" class="hand"', 'axis="0 2 0" class="foot"', "no default class 'foot'"),
    "text for a number": ('range="-10 20"', 'range="ten 20"', "range='ten 20' is not a list of numbers"),
    "not finite": ('pos="1 2 3"', 'pos="1 2 nan"', "is not a list of numbers"),
    "wrong count": ('pos="1 2 3"', 'pos="1 2"', "must have 3 numbers"),
    "range backwards": ('range="-10 20"', 'range="20 -10"', "must grow"),
    "negative gain": ('stiffness="8"', 'stiffness="-8"', "negative"),
    "axes in another order": ('axis="0 1 0" range', 'axis="1 0 0" range', "about x, y, z in this order"),
    "no motor": ('<motor joint="grip" gear="4"/>', "", "needs a <motor>"),
    "name twice": ('name="ring"', 'name="arm"', "<body name='arm'>: the name is used twice"),
    "no name": ('<body name="ring">', "<body>", "a body below 'hand' has no name"),
    "slide joint": ('name="grip"', 'name="grip" type="slide"', "type 'slide' is not read"),
    "joint off the origin": ('name="grip"', 'name="grip" pos="0 0 1"', "pos must be 0 0 0"),
    "no axis": ('axis="0 2 0"', 'axis="0 0 0"', "the axis has no length"),
    "no free joint": ("<freejoint/>", "", "has a free joint"),
    "mesh": ('type="box" size="0.5 0.5 0.5"', 'type="mesh"', "type 'mesh' is not read"),
    "no size": ('size="0.5 0.5 0.5"', 'size="0.5"', "needs 3 positive sizes"),
    "two roots": ("</worldbody>", '<body name="b"><freejoint/></body></worldbody>', "has 2 bodies"),
    "inertial": ("<freejoint/>", "<freejoint/><inertial mass='1' pos='0 0 0'/>", "<inertial> is not read"),
    "include": ("<worldbody>", '<include file="x.xml"/><worldbody>', "put everything into one file"),
    "zero quaternion": ('quat="2 0 0 0"', 'quat="0 0 0 0"', "the quaternion has no length"),
    "other actuator": ('<motor joint="grip"', '<position joint="grip"', "only <motor> actuators"),
    "other format": ("mujoco>", "robot>", "MJCF needs <mujoco>"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_name_file_and_element(tmp_path, case):
    old, new, message = BROKEN[case]
    assert old in SMALL
    path = write(tmp_path, SMALL.replace(old, new))
    with pytest.raises(DataError) as error:
        load_character(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"can't read the character file .*none\.xml"):
        load_character(tmp_path / "none.xml")
