"""Palms that rest on the ground bring the character's hands there."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from parc_core.character.mjcf import load_character
from parc_core.character.model import Character
from parc_core.config.paths import DATA_ROOT
from parc_core.motion.clip import MotionClip
from parc_core.motion.retarget.climbs import read_positions
from parc_core.motion.retarget.hands import held, palms
from parc_core.motion.retarget.mapping import map_joints
from parc_core.motion.retarget.stance import GroundHeight
from parc_core.motion.skeleton import Skeleton, body_positions, off_axis
from tests.motion.retarget.amp_files import about
from tests.motion.retarget.climb_files import climb

FRAMES, RESTS = 90, slice(30, 60)


@lru_cache(maxsize=1)
def humanoid() -> Character:
    return load_character(DATA_ROOT / "data" / "assets" / "humanoid.xml")


def level_ground(height: float) -> GroundHeight:
    return lambda xy: np.full(xy.shape[:-1], height)


def reaching() -> MotionClip:
    """Stands, both upper arms hanging, elbows bent forward by 90 degrees: hands at 0.97 m, 0.26 m ahead."""
    joint_rot = np.tile([0.0, 0, 0, 1], (FRAMES, 14, 1))
    for side, upper in ((1, 2), (-1, 5)):
        joint_rot[:, upper] = about((1, 0, 0), np.full(FRAMES, side * np.pi / 2))
        joint_rot[:, upper + 1] = about((0, 0, 1), np.full(FRAMES, side * np.pi / 2))
    root_pos = np.tile([0.0, 0, 0.88], (FRAMES, 1))
    return MotionClip(root_pos, np.tile([0.0, 0, 0, 1], (FRAMES, 1)), joint_rot, None, 30, "CLAMP")


def palms_over(clip: MotionClip, away: np.ndarray) -> dict[str, np.ndarray]:
    """Palms at the hands, but for a rest at `away` of them; high above the table before and after."""
    at = body_positions(clip, Skeleton.of(humanoid()))
    found = {}
    for side, hand in (("right", 5), ("left", 8)):
        found[side] = at[:, hand] + np.array([0, 0, 0.5])
        found[side][RESTS] = at[RESTS, hand] + away
    return found


def test_hands_rest_where_the_palms_do() -> None:
    clip, skeleton = reaching(), Skeleton.of(humanoid())
    before = body_positions(clip, skeleton)
    assert np.allclose(before[0, 5], [0.234897, -0.18311, 1.084863], atol=1e-5)
    away = np.array([-0.06, 0.03, 0.0])
    level = before[0, 5, 2] - 0.1
    found = held(clip, humanoid(), skeleton, palms_over(clip, away), level_ground(level))
    after = body_positions(found, skeleton)
    for hand in (5, 8):
        assert np.allclose(after[RESTS][1:-1, hand, :2], before[RESTS][1:-1, hand, :2] + away[:2], atol=1e-4)
        assert np.allclose(after[RESTS][1:-1, hand, 2], level + 0.04, atol=1e-4)
    assert off_axis(found.joint_rot, skeleton).max() < 1e-5
    others = [body for body in range(15) if body not in (4, 5, 7, 8)]
    assert np.allclose(after[:, others], before[:, others], atol=1e-6)
    assert np.allclose(after[[0, -1]], before[[0, -1]], atol=1e-5)
    steps = np.linalg.norm(np.diff(after[:, 5], axis=0), axis=-1)
    assert steps.max() < 0.02  # no jump where a rest begins or ends


def test_what_is_out_of_reach_or_moves_is_left_alone() -> None:
    clip, skeleton = reaching(), Skeleton.of(humanoid())
    for away, level in ((np.array([0.3, 0, 0]), 0.98), (np.array([0, 0, 0.3]), 0.9)):
        found = held(clip, humanoid(), skeleton, palms_over(clip, away), level_ground(level))
        assert np.abs(body_positions(found, skeleton) - body_positions(clip, skeleton)).max() < 1e-4
    moving = palms_over(clip, np.zeros(3))
    for place in moving.values():
        place[:, 0] += np.linspace(0, 3, FRAMES)
    found = held(clip, humanoid(), skeleton, moving, level_ground(1.0))
    assert np.abs(body_positions(found, skeleton) - body_positions(clip, skeleton)).max() < 1e-4


def test_palms_lie_between_wrist_and_fingers() -> None:
    positions = climb(0.1)
    source = read_positions(positions, "a")
    names = list(source.names)
    hand = names.index("LeftHand")
    positions[:, names.index("LeftHandIndex1")] += [0.1, 0, 0]
    source = read_positions(positions, "a")
    mapping = map_joints(source.names, source.parents, "a")
    found = palms(source, mapping, np.array([0, 0, 1.0]))
    assert np.allclose(found["left"], positions[:, hand] + [0.01, 0, 1.0], atol=1e-5)
