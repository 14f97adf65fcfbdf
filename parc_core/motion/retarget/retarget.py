"""A source's motion as the character's: limbs in the same directions, feet on the ground, joints within ranges."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Optional, Tuple

import numpy as np
import torch

from parc_core.character.model import HINGE, SPHERICAL, Character
from parc_core.character.surface_points import surface_points
from parc_core.config.skeleton_config import SIDES
from parc_core.motion.clip import MotionClip
from parc_core.motion.retarget.body_frames import BodyFrames, middle_of_hips
from parc_core.motion.retarget.geometry import conj, continuous, from_rotation_vector
from parc_core.motion.retarget.hands import held, palms
from parc_core.motion.retarget.mapping import JointMapping
from parc_core.motion.retarget.ranges import within_ranges
from parc_core.motion.retarget.result import DEFAULT_OPTIONS, RetargetedMotion, RetargetOptions
from parc_core.motion.retarget.sizes import check_arms, leg_length, scaled
from parc_core.motion.retarget.source import SourceMotion, resampled, without_rest_frame
from parc_core.motion.retarget.stance import WALL, GroundHeight, edges, ground_of, planted, steady, touching
from parc_core.motion.skeleton import Skeleton, beyond_range, body_poses, multiply, rotate
from parc_core.motion.synthetic.curves import smooth_below
from parc_core.motion.synthetic.ik import find_leg, solve_leg
from parc_core.terrain.heightfield import Heightfield

_MAX_DROP = 0.15  # m by which the root sinks for them at most
_SMOOTH = 4  # frames to either side, of what moves the root up and down
_DEEP = 0.005  # m in the ground that are put right
_ROUNDS = 2  # of placing the ground
_LOWEST = 3.0  # % of frames: where the ground is, before anything is known of contacts


def retarget(
    source: SourceMotion,
    mapping: JointMapping,
    character: Character,
    options: RetargetOptions = DEFAULT_OPTIONS,
    terrain: Optional[Heightfield] = None,
) -> RetargetedMotion:
    """Moves the character as the source moves.

    Args:
        source: the motion.
        mapping: which of its joints plays which part.
        character: a humanoid with the PARC humanoid's bodies.
        options: frame rate, scale, contacts.
        terrain: what the source moved on, in its frame; by default level ground, whose height is found.

    Raises:
        DataError: the character has other bodies, or the source is not an upright humanoid's motion.
    """
    return Retargeter(character, options).retarget(source, mapping, terrain)


class Retargeter:
    """Retargets any number of motions to one character."""

    def __init__(self, character: Character, options: RetargetOptions = DEFAULT_OPTIONS) -> None:
        self._character, self._options = character, options
        self._skeleton = Skeleton.of(character)
        self._legs = {side: find_leg(character, side) for side in SIDES}
        check_arms(character)
        kinds = character.joint_types[1:]
        self._movable = np.array([kind in (HINGE, SPHERICAL) for kind in kinds])
        points = surface_points(character)
        self._owner = np.concatenate([np.full(len(part), body) for body, part in enumerate(points)])
        self._points = np.concatenate(points).astype(np.float64)

    def retarget(
        self,
        source: SourceMotion,
        mapping: JointMapping,
        terrain: Optional[Heightfield] = None,
        where: str = "the motion",
    ) -> RetargetedMotion:
        """See the function of this name; `where` is the motion's name for messages."""
        source.check(where)
        scale = self._options.scale or self.leg_length() / leg_length(source, mapping, where)
        source = scaled(resampled(without_rest_frame(source), self._options.fps), scale)
        if terrain is not None:
            terrain = Heightfield(
                terrain.hf * np.float32(scale), terrain.min_point * np.float32(scale), terrain.dx * scale
            )
        ground = ground_of(terrain)
        body = BodyFrames(source, mapping, ground, where)
        clip = self._posed(middle_of_hips(source.positions, mapping), body)
        shift = self._onto_ground(clip, ground, keep_place=terrain is not None)
        clip = replace(clip, root_pos=clip.root_pos + shift)
        touches = self._touching(self._soles(clip), ground)
        hands = palms(source, mapping, shift) if self._options.hold else None
        clip, beyond = self._on_its_feet(clip, touches, ground, hands, raised=terrain is None)
        clip = replace(clip, body_contacts=self._contacts(clip, touches, ground))
        return RetargetedMotion(
            clip=_float32(clip),
            terrain=terrain,
            scale=scale,
            shift=(float(shift[0]), float(shift[1]), float(shift[2])),
            beyond=beyond[:, self._movable],
        )

    def own(self, clip: MotionClip) -> RetargetedMotion:
        """A motion that is the character's already, unchanged but for its contacts; the ground is level at z = 0."""
        stands = self._touching(self._soles(clip), ground_of(None))
        beyond = np.maximum(beyond_range(clip.joint_rot, self._skeleton), 0.0)
        clip = replace(clip, body_contacts=self._contacts(clip, stands, ground_of(None)))
        return RetargetedMotion(
            clip=_float32(clip),
            terrain=None,
            scale=1.0,
            shift=(0.0, 0.0, 0.0),
            beyond=beyond[:, self._movable],
        )

    def leg_length(self) -> float:
        """Of the character, hip to ankle, m."""
        return sum(leg.length for leg in self._legs.values()) / len(self._legs)

    def _posed(self, root_pos: np.ndarray, body: BodyFrames) -> MotionClip:
        """The limbs' directions as joint rotations (float64), whatever their ranges."""
        n = len(root_pos)
        joint_rot = np.tile(np.array([0.0, 0.0, 0.0, 1.0]), (n, len(self._skeleton.parents) - 1, 1))
        self._set(joint_rot, "torso", multiply(conj(body.pelvis), body.torso))
        self._set(joint_rot, "head", multiply(conj(body.torso), body.head))
        for side in SIDES:
            sign = 1.0 if side == "right" else -1.0
            elbow = _about(2, sign * body.elbow[side])
            knee = _about(1, body.knee[side])
            self._set(joint_rot, f"{side}_upper_arm", multiply(conj(body.torso), body.upper_arm[side]))
            self._set(joint_rot, f"{side}_lower_arm", elbow)
            self._set(joint_rot, f"{side}_thigh", multiply(conj(body.pelvis), body.thigh[side]))
            self._set(joint_rot, f"{side}_shin", knee)
            shin = multiply(body.thigh[side], knee)
            self._set(joint_rot, f"{side}_foot", multiply(conj(shin), body.foot[side]))
        return MotionClip(root_pos, body.pelvis, joint_rot, None, self._options.fps, "CLAMP")

    def _set(self, joint_rot: np.ndarray, name: str, rotation: np.ndarray) -> None:
        joint_rot[:, self._character.body_id(name) - 1] = rotation

    def _onto_ground(self, clip: MotionClip, ground: GroundHeight, keep_place: bool) -> np.ndarray:
        """What brings standing soles onto the ground and, unless the place is kept, the root to x = y = 0. (3,) m."""
        points = self._soles(clip)  # (n, 4, 3)
        heights = points[..., 2] - ground(points[..., :2])
        # On terrain the source is near its place already, and lowest where it is beside a wall.
        up = 0.0 if keep_place else -float(np.percentile(heights.min(axis=1), _LOWEST))
        for _ in range(_ROUNDS):
            touches = self._touching(points + np.array([0.0, 0.0, up]), ground)
            near = np.where(heights + up > -WALL, heights, np.inf)
            lower = np.minimum(near[:, 0::2], near[:, 1::2])[touches]  # of each foot
            if np.isfinite(lower).any():
                up = -float(np.median(lower[np.isfinite(lower)]))
        across = np.zeros(2) if keep_place else -clip.root_pos[0, :2]
        return np.array([*across, up])

    def _soles(self, clip: MotionClip) -> np.ndarray:
        """Heel and toe edge of the left foot, then of the right one. (n, 4, 3) m."""
        pos, rot = body_poses(clip, self._skeleton)
        found = []
        for side in SIDES:
            leg = self._legs[side]
            sole = edges(leg, pos[:, leg.foot], rot[:, leg.foot])
            found += [sole.heel, sole.toe]
        return np.stack(found, axis=1)

    def _touching(self, points: np.ndarray, ground: GroundHeight) -> np.ndarray:
        """(n, 2) bool: whether the left and the right foot touch with heel or toe."""
        options = self._options
        each = touching(points, ground, options.fps, options.contact_height, options.contact_speed)
        return steady(each[:, 0::2] | each[:, 1::2])

    def _on_its_feet(
        self,
        clip: MotionClip,
        touches: np.ndarray,
        ground: GroundHeight,
        hands: Optional[Dict[str, np.ndarray]],
        raised: bool,
    ) -> Tuple[MotionClip, np.ndarray]:
        """Feet keep their places while they touch, joints their ranges.

        Args:
            clip: on the ground, its joints anywhere.
            touches: (n, 2) bool: left and right foot.
            ground: heights.
            hands: where the palms are, (n, 3) m of each side, if hands are to hold on.
            raised: whether the root is raised where a body would be in the ground.

        Returns:
            The clip, and by how much (n, J-1) rad its joints were beyond their ranges.
        """
        pos, rot = body_poses(clip, self._skeleton)
        feet = {}
        for index, side in enumerate(SIDES):
            leg = self._legs[side]
            planned = (pos[:, leg.foot], rot[:, leg.foot], touches[:, index])
            feet[side] = planted(leg, *planned, ground, self._options.fps)
        knees = {
            side: rotate(conj(clip.root_rot), _side_axis(rot[:, self._legs[side].thigh])) for side in SIDES
        }

        def settled(rise: np.ndarray) -> Tuple[MotionClip, np.ndarray]:
            root_pos = clip.root_pos + rise[:, None] * np.array([0.0, 0.0, 1.0])
            moved = self._stepping(replace(clip, root_pos=root_pos), feet, knees)
            if hands is not None:
                moved = held(moved, self._character, self._skeleton, hands, ground)
            return within_ranges(moved, self._skeleton)

        rise = self._drop(clip, feet, touches)
        found = settled(rise)
        deep = self._depth(found[0], ground) if raised else np.zeros(1)
        # Hands, knees or a trunk that the character's own lengths put into the ground: it is raised as a whole.
        return settled(rise - smooth_below(-deep, _SMOOTH)) if deep.max() > _DEEP else found

    def _stepping(
        self, clip: MotionClip, feet: Dict[str, Tuple[np.ndarray, np.ndarray]], knees: Dict[str, np.ndarray]
    ) -> MotionClip:
        """The clip with legs that reach for the feet's places."""
        joint_rot = clip.joint_rot.copy()
        pelvis = (torch.from_numpy(clip.root_pos), torch.from_numpy(clip.root_rot))
        for side in SIDES:
            leg = self._legs[side]
            ankle, turn = (torch.from_numpy(part) for part in feet[side])
            solved = solve_leg(leg, pelvis, (ankle, turn), torch.from_numpy(knees[side]))
            for body, rotation in zip((leg.thigh, leg.shin, leg.foot), solved):
                joint_rot[:, body - 1] = rotation.numpy()
        return replace(clip, joint_rot=joint_rot)

    def _surface(self, clip: MotionClip) -> np.ndarray:
        """Points on all bodies, (n, P, 3) m."""
        pos, rot = body_poses(clip, self._skeleton)
        return pos[:, self._owner] + rotate(rot[:, self._owner], self._points)

    def _depth(self, clip: MotionClip, ground: GroundHeight) -> np.ndarray:
        """(n,) m by which the deepest point is below the ground."""
        points = self._surface(clip)
        return np.maximum(ground(points[..., :2]) - points[..., 2], 0.0).max(axis=1)

    def _drop(
        self, clip: MotionClip, targets: Dict[str, Tuple[np.ndarray, np.ndarray]], touches: np.ndarray
    ) -> np.ndarray:
        """(n,) m, not above 0: how far the root sinks so that touching feet are within reach."""
        bound = np.zeros(clip.num_frames)
        for index, side in enumerate(SIDES):
            leg = self._legs[side]
            hip = clip.root_pos + rotate(clip.root_rot, np.array(leg.hip_offset))
            away = targets[side][0] - hip
            reach = np.sqrt(np.maximum(leg.length**2 - (away[:, :2] ** 2).sum(axis=-1), 0.0))
            bound = np.where(touches[:, index], np.minimum(bound, away[:, 2] + reach), bound)
        return smooth_below(np.maximum(bound, -_MAX_DROP), _SMOOTH)

    def _contacts(self, clip: MotionClip, stands: np.ndarray, ground: GroundHeight) -> np.ndarray:
        """(n, J) 0 or 1: feet that stand, and bodies whose surface is near the ground and slow."""
        points = self._surface(clip)
        options = self._options
        near = touching(points, ground, options.fps, options.contact_height, options.contact_speed)
        low = points[..., 2] - ground(points[..., :2]) < options.contact_height
        contacts = np.zeros((clip.num_frames, len(self._skeleton.parents)))
        for body in range(contacts.shape[1]):
            contacts[:, body] = steady(np.any(near[:, self._owner == body], axis=1))
        for index, side in enumerate(SIDES):
            foot = self._legs[side].foot
            contacts[:, foot] = stands[:, index] & np.any(low[:, self._owner == foot], axis=1)
        return contacts


def _side_axis(rot: np.ndarray) -> np.ndarray:
    """The y axes of turned bodies. (n, 4) -> (n, 3)."""
    return rotate(rot, np.array([0.0, 1.0, 0.0]))


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    vectors = np.zeros((len(angle), 3))
    vectors[:, axis] = angle
    return from_rotation_vector(vectors)


def _float32(clip: MotionClip) -> MotionClip:
    assert clip.body_contacts is not None
    return replace(
        clip,
        root_pos=clip.root_pos.astype(np.float32),
        root_rot=continuous(clip.root_rot).astype(np.float32),
        joint_rot=continuous(clip.joint_rot).astype(np.float32),
        body_contacts=clip.body_contacts.astype(np.float32),
    )
