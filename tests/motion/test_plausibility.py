"""Limits of plausibility: what people do passes, what a slip makes of it does not."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.character.model import Character
from parc_core.config.paths import resolve
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.plausibility import judge
from parc_core.motion.skeleton import Skeleton, beyond_range, body_positions, off_axis, wrong_way
from parc_core.motion.synthetic import KINDS
from parc_core.motion.synthetic.generate import make_motion
from parc_core.terrain.heightfield import Heightfield

WXYZ = [3, 0, 1, 2]
INVERSE = np.array([-1, -1, -1, 1], np.float32)


@lru_cache(maxsize=1)
def humanoid() -> Character:
    return load_character(resolve("data/assets/humanoid.xml"))


@lru_cache(maxsize=1)
def walk() -> tuple[MotionClip, Heightfield]:
    made: MotionTerrain = make_motion("walk", 1, humanoid())
    assert made.motion is not None and made.terrain is not None
    return made.motion, made.terrain


def told(clip: MotionClip, terrain: Heightfield | None) -> str:
    return str(judge(clip, terrain, Skeleton.of(humanoid())))


@pytest.mark.parametrize("kind", KINDS)
def test_sample_motions_are_plausible(kind: str) -> None:
    made = make_motion(kind, 0, humanoid())
    assert made.motion is not None
    assert told(made.motion, made.terrain) == ""


def _y_up(clip: MotionClip) -> MotionClip:
    """x stays, z becomes y: what a tool with y up would have written."""
    turn = np.array([-np.sqrt(0.5), 0, 0, np.sqrt(0.5)], np.float32)
    x, y, z, w = (clip.root_rot[:, i] for i in range(4))
    a, c = turn[0], turn[3]
    rot = np.stack([a * w + c * x, c * y - a * z, c * z + a * y, c * w - a * x], axis=-1)
    pos = np.stack([clip.root_pos[:, 0], clip.root_pos[:, 2], -clip.root_pos[:, 1]], axis=-1)
    return replace(clip, root_pos=pos, root_rot=rot)


@pytest.mark.parametrize(
    ("slip", "cause"),
    [
        (
            lambda c: replace(c, root_rot=c.root_rot[..., WXYZ], joint_rot=c.joint_rot[..., WXYZ]),
            "stored as wxyz",
        ),
        (lambda c: replace(c, joint_rot=c.joint_rot[..., WXYZ]), "stored as wxyz"),
        (lambda c: replace(c, root_pos=c.root_pos * 100), "in centimetres"),
        (lambda c: replace(c, root_pos=c.root_pos * 1000), "in millimetres"),
        (_y_up, "y is probably up"),
        (lambda c: replace(c, root_pos=c.root_pos + np.array([0, 50, 0], np.float32)), "not of one place"),
        (lambda c: replace(c, root_pos=c.root_pos + np.array([9e4, 0, 0], np.float32)), "save float64"),
        (lambda c: replace(c, joint_rot=c.joint_rot * INVERSE), "joint_rot is probably inverted"),
        (lambda c: replace(c, joint_rot=c.joint_rot[:, ::-1]), "another skeleton or order of joints"),
    ],
    ids=["wxyz", "joints wxyz", "cm", "mm", "y up", "beside", "far", "inverted", "order"],
)
def test_slips_are_told_with_their_cause(slip: object, cause: str) -> None:
    clip, terrain = walk()
    assert cause in told(slip(clip), terrain)  # type: ignore[operator]


def test_which_way_knees_and_elbows_bend() -> None:
    """The humanoid's knees to +y, its right elbow to +z, its left one to -z; a double cover changes nothing."""
    skeleton, straight = Skeleton.of(humanoid()), np.tile([0.0, 0, 0, 1], (10, 14, 1))
    assert wrong_way(straight, skeleton, 0.3) == (0.0, 0.0)
    bent = straight.copy()
    for joint, axis, sign in ((3, 2, 1), (6, 2, -1), (9, 1, 1), (12, 1, 1)):
        bent[:, joint, axis], bent[:, joint, 3] = sign * np.sin(0.4), np.cos(0.4)
    assert wrong_way(bent, skeleton, 0.3) == (1.0, 0.0) == wrong_way(-bent, skeleton, 0.3)
    assert wrong_way(bent * INVERSE, skeleton, 0.3) == (1.0, 1.0)
    bent[:5] = straight[:5]
    bent[5:, 9] *= INVERSE
    assert wrong_way(bent, skeleton, 0.3) == (0.5, 0.25)


def test_odd_without_a_cause() -> None:
    clip, terrain = walk()
    high = judge(replace(clip, root_pos=clip.root_pos + np.array([0, 0, 4], np.float32)), terrain, None)
    assert high.text == "" == high.cause  # without a skeleton nobody knows where the feet are
    jump = clip.root_pos.copy()
    jump[len(jump) // 2 :, 0] += 1.5
    assert "the root moves at 4" in told(replace(clip, root_pos=jump), terrain)
    assert "fps is 2, not from 5 to 500" in told(replace(clip, fps=2), terrain)
    assert "terrain's cells are 40 m wide" in told(clip, replace(terrain, dx=40.0))


def test_the_skeleton_agrees_with_the_kinematics() -> None:
    """Body positions, and joint angles against their ranges."""
    clip, _ = walk()
    character = humanoid()
    skeleton, kinematics = Skeleton.of(character), Kinematics(character)
    joint_rot = torch.from_numpy(clip.joint_rot)
    pos, _ = kinematics.forward(torch.from_numpy(clip.root_pos), torch.from_numpy(clip.root_rot), joint_rot)
    assert np.allclose(body_positions(clip, skeleton), pos.numpy(), atol=1e-5)
    dof = kinematics.rot_to_dof(joint_rot)
    over = torch.maximum(dof - character.dof_upper, character.dof_lower - dof).max()
    assert np.isclose(beyond_range(clip.joint_rot, skeleton).max(), float(over), atol=1e-4)
    assert off_axis(clip.joint_rot, skeleton).max() < 1e-3
    bent = clip.joint_rot.copy()
    bent[:, 6] = [np.sin(0.35), 0, 0, np.cos(0.35)]  # the left elbow turns about z alone
    assert np.allclose(off_axis(bent, skeleton)[:, 6], 0.7, atol=1e-5)


@pytest.mark.parametrize("height", [50.0, 6.0, -6.0, -50.0, -1e30])
def test_a_motion_far_above_or_below_its_terrain_is_of_another_place(height: float) -> None:
    clip, terrain = walk()
    moved = replace(terrain, hf=(terrain.hf - height).astype(np.float32))
    assert "probably not of one place" in told(clip, moved)
