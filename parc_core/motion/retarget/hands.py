"""Hands that hold on: where a palm rests on the ground, the character's hand is brought there by its arm.

Retargeted arms point where the source's do, but are of another length, and the character's hand is a ball at the wrist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Tuple

import numpy as np

from parc_core.character.model import Character
from parc_core.config.skeleton_config import SIDES
from parc_core.motion.clip import MotionClip
from parc_core.motion.retarget.geometry import conj, frames, from_rotation_vector, square_to, unit
from parc_core.motion.retarget.mapping import JointMapping
from parc_core.motion.retarget.source import SourceMotion
from parc_core.motion.retarget.stance import GroundHeight, faded, intervals, steady
from parc_core.motion.skeleton import Skeleton, body_poses, multiply, rotate

_NEAR = (-0.08, 0.1)  # m of a resting palm above the ground
_STILL = 0.3  # m/s
_MOST = 0.2  # m by which a hand may be brought elsewhere
_REACH = 0.998  # share of a straight arm that is used at most
_PRIOR = 0.02  # m: weight of the hinge's axis against how far the elbow is off the line from shoulder to hand


@dataclass(frozen=True)
class Arm:
    """Bodies and sizes of one arm."""

    upper: int
    lower: int
    hand: int
    sign: float
    """1 where the arm points along -y at zero and bends about +z (the right one), else -1."""
    upper_length: float
    """m."""
    lower_length: float
    """m."""
    radius: float
    """m of the hand."""


def find_arm(character: Character, side: str) -> Arm:
    """The "right" or "left" arm: stretched along y at zero, an elbow hinge about z, a ball for a hand."""
    upper, lower, hand = (character.body_id(f"{side}_{part}") for part in ("upper_arm", "lower_arm", "hand"))
    lengths = character.local_translation.norm(dim=-1)
    balls = [geom.size[0] for geom in character.geoms if geom.body == hand]
    return Arm(
        upper=upper,
        lower=lower,
        hand=hand,
        sign=1.0 if side == "right" else -1.0,
        upper_length=float(lengths[lower]),
        lower_length=float(lengths[hand]),
        radius=max(balls, default=0.0),
    )


def palms(source: SourceMotion, mapping: JointMapping, shift: np.ndarray) -> Dict[str, np.ndarray]:
    """Middle of each palm, (n, 3) m: between the wrist and where the fingers begin; the wrist where they are not known.

    Args:
        source: at the size and frame rate of the result.
        mapping: its wrists.
        shift: (3,) m from the source's place to the result's.
    """
    found = {}
    for side in SIDES:
        wrist = mapping[f"{side}_wrist"]
        fingers = np.flatnonzero(source.parents == wrist)
        ends = source.positions[:, fingers].mean(axis=1) if len(fingers) else source.positions[:, wrist]
        found[side] = 0.5 * (source.positions[:, wrist] + ends) + shift
    return found


def held(
    clip: MotionClip,
    character: Character,
    skeleton: Skeleton,
    palms: Dict[str, np.ndarray],
    ground: GroundHeight,
) -> MotionClip:
    """The clip with hands that rest where the source's palms do; what that moves them by fades before and after.

    Args:
        clip: n frames, retargeted.
        character: whose motion it is.
        skeleton: of the character.
        palms: (n, 3) m of each side, in the clip's place.
        ground: heights.
    """
    joint_rot = clip.joint_rot.copy()
    pos, rot = body_poses(clip, skeleton)
    for side in SIDES:
        arm = find_arm(character, side)
        hand, palm = pos[:, arm.hand], palms[side]
        rests = _resting(palm, ground, clip.fps)
        moved, kept = np.zeros_like(hand), []
        for begin, end in intervals(rests):
            part = slice(begin, end)
            target = _place(palm[part], ground, arm.radius)
            if np.linalg.norm(target - hand[part], axis=-1).max() < _MOST:
                moved[part] = target - hand[part]
                kept.append((begin, end))
        target = hand + faded(moved, kept, clip.fps)
        target[:, 2] += _raised(target, ground, arm.radius)
        upper, lower = _solved(arm, pos, rot[:, arm.lower], target)
        torso = skeleton.parents[arm.upper]
        joint_rot[:, arm.upper - 1] = multiply(conj(rot[:, torso]), upper)
        joint_rot[:, arm.lower - 1] = lower
    return replace(clip, joint_rot=joint_rot)


def _resting(palm: np.ndarray, ground: GroundHeight, fps: float) -> np.ndarray:
    """(n,) bool."""
    speed = np.linalg.norm(np.gradient(palm, axis=0), axis=-1) * fps
    height = palm[:, 2] - ground(palm[:, :2])
    return steady((height > _NEAR[0]) & (height < _NEAR[1]) & (speed < _STILL))


def _place(palm: np.ndarray, ground: GroundHeight, radius: float) -> np.ndarray:
    """Where the hand is while the palm rests: (k, 3) m, one height all along."""
    level = np.median(ground(palm[:, :2]))
    return np.concatenate([palm[:, :2], np.full((len(palm), 1), level + radius)], axis=-1)


def _raised(hand: np.ndarray, ground: GroundHeight, radius: float) -> np.ndarray:
    """(n,) m by which hands have to rise out of the ground; one deep in it is beside a wall, or lost."""
    depth = ground(hand[:, :2]) + radius - hand[:, 2]
    return np.where((depth > 0) & (depth < _MOST), depth, 0.0)


def _solved(
    arm: Arm, pos: np.ndarray, lower_rot: np.ndarray, target: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Upper arm in the world and elbow, (n, 4) each, that bring the hand to (n, 3) m; the elbow stays on its side."""
    shoulder, elbow = pos[:, arm.upper], pos[:, arm.lower]
    a, b = arm.upper_length, arm.lower_length
    reach = np.linalg.norm(target - shoulder, axis=-1)
    reach = np.clip(reach, abs(a - b) + 1e-3, _REACH * (a + b))
    along = unit(target - shoulder)
    axis = rotate(lower_rot, np.array([0.0, 0.0, arm.sign]))
    beside = unit(square_to(elbow - shoulder, along) + _PRIOR * np.cross(along, axis))
    cosine = np.clip((a * a + reach * reach - b * b) / (2 * a * reach), -1.0, 1.0)
    first = cosine[:, None] * along + np.sqrt(1 - cosine**2)[:, None] * beside
    second = unit(shoulder + reach[:, None] * along - (shoulder + a * first))
    axis = unit(np.cross(first, second))
    bend = np.arctan2((np.cross(first, second) * axis).sum(axis=-1), (first * second).sum(axis=-1))
    upper = frames((1, -arm.sign * first), (2, arm.sign * axis))
    vectors = np.zeros((len(bend), 3))
    vectors[:, 2] = arm.sign * bend
    return upper, from_rotation_vector(vectors)
