"""How the character's bodies are turned so that its limbs point where the source's do.

Everything is read from directions between joints: bones of any rest pose give the same. Where the source knows
rotations they tell what directions can't: twist of straight limbs, roll of the feet, gaze of the head. What a joint's
rotation means is found from frames in which it is plain (bent limbs, feet that stand), or from an upright rest pose.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple

import numpy as np

from parc_core.config.skeleton_config import SIDES
from parc_core.errors import DataError
from parc_core.motion.retarget.geometry import (
    conj,
    frames,
    mean_rotation,
    nearest_axes,
    square_to,
    unit,
)
from parc_core.motion.retarget.mapping import JointMapping
from parc_core.motion.retarget.source import SourceMotion
from parc_core.motion.retarget.stance import WALL, GroundHeight
from parc_core.motion.skeleton import multiply, rotate

_ABDOMEN = 0.51  # of the way from hips to neck: where the character's trunk bends
_NEAR = 0.05  # of that way: a joint so near is where the source's trunk bends
_PRIOR_BY_ROTATION, _PRIOR = 0.5, 0.2  # weight of a hinge's expected axis against the sine of its bend
_COHERENT = 0.8  # of the axes of a bent joint, in its own frame
_BENT = 0.3  # sum of sines per frame below which a limb was never really bent
_SNAP = np.deg2rad(35.0)
_STANDING_SPEED, _STANDING_HEIGHT = 0.3, 0.03  # m/s and m (of the character's size) of feet that stand
_UP = np.array([0.0, 0.0, 1.0])
_Z, _Y, _X = 2, 1, 0


class BodyFrames:
    """Rotations of the character's bodies in every frame of a source, (n, 4) each."""

    def __init__(self, source: SourceMotion, mapping: JointMapping, ground: GroundHeight, where: str) -> None:
        """`source`: scaled to the character's size. `ground`: its heights, but for a constant.

        Raises:
            DataError: its toes point backwards.
        """
        self._source, self._map, self._ground = source, mapping, ground
        self._pos = source.positions
        self._rest = upright_rest(source, mapping)
        self._trunk()
        self._limb("elbow")
        self._limb("knee")
        self._feet()
        self._check_sides(where)

    def at(self, role: str) -> np.ndarray:
        """Positions of a role's joint, (n, 3) m."""
        return self._pos[:, self._map[role]]

    def _turns(self, role: str) -> Optional[np.ndarray]:
        joint = self._map.get(role)
        if self._source.rotations is None or joint is None:
            return None
        return self._source.rotations[:, joint]

    def _trunk(self) -> None:
        """Pelvis, torso and head."""
        rest = self._rest
        self.pelvis, torso = _trunk(self._pos, self._map)
        chest = None if self._source.rotations is None else self._source.rotations[:, self._map.spine[-1]]
        if chest is not None:
            # The line between the shoulders moves with the collar bones; the chest does not.
            line = unit(self.at("left_shoulder") - self.at("right_shoulder"))
            across = unit(rotate(conj(chest), line).mean(axis=0))
            torso = frames((_Z, rotate(torso, _UP)), (_Y, rotate(chest, across)))
        if rest is not None:
            pelvis_rest, torso_rest = _trunk(rest[None], self._map)
            self.pelvis = multiply(self.pelvis, _leaning(pelvis_rest[0], rest, self._map))
            torso = multiply(torso, _leaning(torso_rest[0], rest, self._map))
        self.torso = torso
        self.head = self._head(rest)

    def _head(self, rest: Optional[np.ndarray]) -> np.ndarray:
        across = rotate(self.torso, np.array([0.0, 1.0, 0.0]))
        turns = self._turns("head")
        if turns is not None and rest is not None:
            return multiply(turns, _standing(rest, self._map))
        if turns is None:
            if self._map.get("head") is None:
                return self.torso
            turns = frames((_Z, self.at("head") - _neck(self._pos, self._map)), (_Y, across))
        up = rotate(self.torso, _UP)
        upright = up[:, 2] > 0.7
        wanted = frames((_Z, np.where(upright[:, None], _UP, up)), (_Y, across))
        chosen = upright if upright.any() else np.ones_like(upright)
        meaning = mean_rotation(multiply(conj(turns), wanted)[chosen])
        if self._source.rotations is not None:
            # Without a rest pose, joints' axes usually lie along the bones and square to them.
            plain, angle = nearest_axes(meaning)
            meaning = plain if angle < _SNAP else meaning
        return multiply(turns, meaning)

    def _limb(self, hinge: str) -> None:
        """Upper and lower parts of both arms or both legs, and the angle between them."""
        start, end = ("shoulder", "wrist") if hinge == "elbow" else ("hip", "ankle")
        upper, angles = {}, {}
        for side in SIDES:
            first = unit(self.at(f"{side}_{hinge}") - self.at(f"{side}_{start}"))
            second = unit(self.at(f"{side}_{end}") - self.at(f"{side}_{hinge}"))
            bend = np.cross(first, second)
            prior, weight = self._expected(side, start, hinge, first, bend)
            axis = unit(square_to(bend + weight * prior, first))
            angles[side] = np.arctan2((bend * axis).sum(axis=-1), (first * second).sum(axis=-1))
            if hinge == "knee":
                upper[side] = frames((_Z, -first), (_Y, axis))
            else:
                outward = 1.0 if side == "left" else -1.0
                upper[side] = frames((_Y, outward * first), (_Z, -outward * axis))
        if hinge == "elbow":
            self.upper_arm, self.elbow = upper, angles
        else:
            self.thigh, self.knee = upper, angles

    def _expected(
        self, side: str, start: str, hinge: str, first: np.ndarray, bend: np.ndarray
    ) -> Tuple[np.ndarray, float]:
        """Where the hinge's axis should be, square to the upper part, and how much that weighs."""
        turns = self._turns(f"{side}_{start}")
        if turns is not None:
            local = rotate(conj(turns), bend)
            total = local.sum(axis=0)
            size = np.linalg.norm(local, axis=-1).sum()
            if np.linalg.norm(total) > max(_COHERENT * size, _BENT):
                return unit(square_to(rotate(turns, unit(total)), first)), _PRIOR_BY_ROTATION
        if hinge == "knee":
            across = rotate(self.pelvis, np.array([0.0, 1.0, 0.0]))
            return unit(square_to(across, first)), _PRIOR
        outward = 1.0 if side == "left" else -1.0
        rest = rotate(self.torso, np.array([0.0, outward, 0.0]))
        axis = rotate(self.torso, np.array([0.0, 0.0, -outward]))
        return unit(square_to(rotate(_shortest(rest, first), axis), first)), _PRIOR

    def _feet(self) -> None:
        self.foot: Dict[str, np.ndarray] = {}
        rest = self._rest
        for side in SIDES:
            knee_axis = rotate(self.thigh[side], np.array([0.0, 1.0, 0.0]))
            ankle, toe = self.at(f"{side}_ankle"), self._map.get(f"{side}_toe")
            shin = unit(self.at(f"{side}_knee") - ankle)
            ahead = np.cross(knee_axis, shin) if toe is None else self._pos[:, toe] - ankle
            turns = self._turns(f"{side}_ankle")
            if turns is None:
                turns = (
                    frames((_X, ahead), (_Y, knee_axis))
                    if toe is not None
                    else frames((_Z, shin), (_Y, knee_axis))
                )
            level = square_to(ahead, np.broadcast_to(_UP, ahead.shape))
            wanted = frames((_Z, np.broadcast_to(_UP, level.shape)), (_X, level))
            stands = self._stands(ankle)
            if stands.sum() < 3 and rest is not None and self._source.rotations is not None:
                meaning = _standing(rest, self._map)
            else:
                chosen = stands if stands.any() else shin[:, 2] > 0.9
                meaning = mean_rotation(
                    multiply(conj(turns), wanted)[chosen if chosen.any() else slice(None)]
                )
            self.foot[side] = multiply(turns, meaning)

    def _stands(self, ankle: np.ndarray) -> np.ndarray:
        """(n,) bool: frames in which the foot surely stands with its whole sole."""
        height = ankle[:, 2] - self._ground(ankle[:, :2])
        speed = np.linalg.norm(np.gradient(ankle, axis=0), axis=-1) * self._source.fps
        above = height > -WALL
        if above.mean() < 0.5:  # level ground whose height is not known yet
            above[:] = True
        return (
            above & (speed < _STANDING_SPEED) & (height < np.percentile(height[above], 5) + _STANDING_HEIGHT)
        )

    def _check_sides(self, where: str) -> None:
        toes = [side for side in SIDES if self._map.get(f"{side}_toe") is not None]
        ahead = rotate(self.pelvis, np.array([1.0, 0.0, 0.0]))
        found = [
            (unit(self.at(f"{side}_toe") - self.at(f"{side}_ankle")) * ahead).sum(axis=-1) for side in toes
        ]
        if found and float(np.mean(found)) < -0.3:
            raise DataError(
                f"{where}: the toes point backwards: left and right joints are swapped, or its axes are left-handed; "
                "name the joints in a --skeleton file, or export the motion again"
            )


def _neck(pos: np.ndarray, mapping: JointMapping) -> np.ndarray:
    neck = mapping.get("neck")
    if neck is not None:
        return pos[:, neck]
    return 0.5 * (pos[:, mapping["left_shoulder"]] + pos[:, mapping["right_shoulder"]])


def middle_of_hips(pos: np.ndarray, mapping: JointMapping) -> np.ndarray:
    """(n, J, 3) -> (n, 3)."""
    return 0.5 * (pos[:, mapping["left_hip"]] + pos[:, mapping["right_hip"]])


def _trunk(pos: np.ndarray, mapping: JointMapping) -> Tuple[np.ndarray, np.ndarray]:
    """Pelvis and torso as the spine's lower and upper half, turned as hips and shoulders are. (n, 4) each."""
    low, top = middle_of_hips(pos, mapping), _neck(pos, mapping)
    chain = np.stack([low, *(pos[:, joint] for joint in mapping.spine), top])
    # A spine's first joint may lie beside the pelvis' own: what counts is how far up it is.
    axis = unit(top - low)
    along = ((chain - low) * axis).sum(axis=-1) / np.maximum(np.linalg.norm(top - low, axis=-1), 1e-9)
    mean = along.mean(axis=1)
    nearest = int(np.argmin(np.abs(mean - _ABDOMEN)))
    if abs(mean[nearest] - _ABDOMEN) < _NEAR:
        abdomen = chain[nearest]
    else:
        above = int(np.argmax(mean > _ABDOMEN))
        share = (_ABDOMEN - mean[above - 1]) / max(mean[above] - mean[above - 1], 1e-6)
        abdomen = chain[above - 1] + share * (chain[above] - chain[above - 1])
    hips = pos[:, mapping["left_hip"]] - pos[:, mapping["right_hip"]]
    shoulders = pos[:, mapping["left_shoulder"]] - pos[:, mapping["right_shoulder"]]
    return frames((_Z, abdomen - low), (_Y, hips)), frames((_Z, top - abdomen), (_Y, shoulders))


def upright_rest(source: SourceMotion, mapping: JointMapping) -> Optional[np.ndarray]:
    """The rest pose (J, 3) where it is one of a person who stands; None otherwise."""
    rest = source.rest_positions
    if rest is None:
        return None
    spine = unit(_neck(rest[None], mapping) - middle_of_hips(rest[None], mapping))[0]
    legs = [unit(rest[mapping[f"{side}_hip"]] - rest[mapping[f"{side}_ankle"]]) for side in SIDES]
    straight = all(direction[2] > 0.9 for direction in (spine, *legs))
    across = rest[mapping["left_hip"]] - rest[mapping["right_hip"]]
    return rest if straight and np.linalg.norm(across[:2]) > 0.02 else None


def _standing(rest: np.ndarray, mapping: JointMapping) -> np.ndarray:
    """(4,): z up, y from the right hip to the left one, in an upright rest pose."""
    across = rest[mapping["left_hip"]] - rest[mapping["right_hip"]]
    return frames((_Z, _UP[None]), (_Y, across[None]))[0]


def _leaning(frame: np.ndarray, rest: np.ndarray, mapping: JointMapping) -> np.ndarray:
    """(4,): turns what the rest pose gives into upright."""
    return multiply(conj(frame), _standing(rest, mapping))


def _shortest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shortest rotations from unit vectors to others. (n, 3), (n, 3) -> (n, 4)."""
    q = np.concatenate([np.cross(a, b), 1.0 + (a * b).sum(axis=-1, keepdims=True)], axis=-1)
    lost = q[:, 3] < 1e-6
    q[lost] = np.array([0.0, 0.0, 1.0, 0.0])
    return unit(q)
