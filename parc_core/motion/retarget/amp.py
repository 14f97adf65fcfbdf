"""Motions of the AMP and ASE humanoids: the same bodies and bone lengths as PARC's, so rotations carry over exactly.

Only the arms differ. Theirs hang down at rest and bend about y, PARC's are stretched sidewards and bend about z: a
quarter turn about x between the two frames of each arm's bodies. Further bodies at the end of a limb (sword, shield)
are left out.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.motion.formats.numbers import float32
from parc_core.motion.retarget.geometry import conj
from parc_core.motion.retarget.poselib import SkeletonMotion
from parc_core.motion.skeleton import Skeleton, multiply, rotate

_SAME = 0.005
"""m by which offsets of bodies may differ."""
_IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])
_QUARTER = np.sqrt(0.5)
_STRAIGHT = (0.1, 0.3)
"""rad: a hinge bent less than the first keeps the twist above it, one bent more than the second decides it."""


def amp_clip(motion: SkeletonMotion, skeleton: Skeleton, bodies: Sequence[str]) -> Optional[MotionClip]:
    """The same motion as a clip of PARC's humanoid, frame by frame; None where its skeleton is another.

    Args:
        motion: T frames.
        skeleton: of the humanoid.
        bodies: names of its bodies.

    Returns:
        A clip without contacts, its `fps` 0: the caller resamples from `motion.fps`.
    """
    nodes = _nodes(motion, skeleton, bodies)
    if nodes is None:
        return None
    turns = _turns(bodies)
    frames = len(motion.root_pos)
    joint_rot = np.empty((frames, len(nodes) - 1, 4))
    for body in range(1, len(nodes)):
        before, after = conj(turns[skeleton.parents[body]]), turns[body]
        local = multiply(np.broadcast_to(before, (frames, 4)), motion.local[:, nodes[body]])
        joint_rot[:, body - 1] = multiply(local, np.broadcast_to(after, (frames, 4)))
    hinged = with_hinges(joint_rot, skeleton)
    root_rot = motion.local[:, 0]
    return MotionClip(float32(motion.root_pos), float32(root_rot), float32(hinged), None, 0, "CLAMP")


def _turns(bodies: Sequence[str]) -> List[np.ndarray]:
    """(J,) of (4,): each body's frame of ours in that of theirs."""
    turns = []
    for name in bodies:
        arm = "_arm" in name or "hand" in name
        sign = 1.0 if name.startswith("right") else -1.0
        turns.append(np.array([sign * _QUARTER, 0.0, 0.0, _QUARTER]) if arm else _IDENTITY)
    return turns


def _nodes(motion: SkeletonMotion, skeleton: Skeleton, bodies: Sequence[str]) -> Optional[List[int]]:
    """Their node for each body of ours, where all have the same parents and offsets; None where they do not."""
    place: Dict[str, int] = {name: node for node, name in enumerate(motion.names)}
    if any(name not in place for name in bodies):
        return None
    nodes = [place[name] for name in bodies]
    plain_rest = np.abs(skeleton.rest[:, :3]).max() < 1e-6
    if nodes[0] != 0 or not plain_rest:
        return None
    turns = _turns(bodies)
    for body in range(1, len(nodes)):
        parent = skeleton.parents[body]
        if motion.parents[nodes[body]] != nodes[parent]:
            return None
        offset = rotate(conj(turns[parent]), motion.offsets[nodes[body]])
        if np.abs(offset - skeleton.offsets[body]).max() > _SAME:
            return None
    return nodes


def with_hinges(joint_rot: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Rotations that the joints can do, with the same places of all bodies that have one child or more.

    What a hinge turns about other axes than its own moves up: the limb above turns about itself, so that the hinge's
    plane is the limb's. What comes after a hinge keeps its orientation in the world; fixed joints turn not at all.

    Args:
        joint_rot: (n, J-1, 4).
        skeleton: whose limbs above and below a hinge are on one line at rest.
    """
    fixed = joint_rot.copy()
    for body, kind in enumerate(skeleton.kinds):
        if kind == "HINGE" and skeleton.kinds[skeleton.parents[body]] == "SPHERICAL":
            _project(fixed, skeleton, body)
        elif kind == "FIXED":
            fixed[:, body - 1] = _IDENTITY
    return fixed


def _project(joint_rot: np.ndarray, skeleton: Skeleton, body: int) -> None:
    """Makes one joint's rotations those of its hinge, in place."""
    above, child = skeleton.parents[body], skeleton.parents.index(body)
    axis = skeleton.axes[body]
    bone = skeleton.offsets[child] / np.linalg.norm(skeleton.offsets[child])
    turn = joint_rot[:, body - 1]
    turn = np.where(turn[:, 3:] < 0, -turn, turn)
    along = rotate(turn, np.broadcast_to(bone, turn[:, :3].shape))
    # The hinge takes the bone about its axis, to the one sign that its range has.
    sign = 1.0 if skeleton.upper[body, 0] + skeleton.lower[body, 0] > 0 else -1.0
    forth, aside = sign * (along @ np.cross(axis, bone)), sign * (along @ axis)
    bend = np.arctan2(np.hypot(forth, aside), along @ bone)
    weight = np.clip((bend - _STRAIGHT[0]) / (_STRAIGHT[1] - _STRAIGHT[0]), 0.0, 1.0)
    weight = np.where(forth < 0, 0.0, weight)  # bent the wrong way, by a little
    twist = weight * np.arctan2(aside, forth)
    own = 2.0 * np.arctan2(turn[:, :3] @ axis, turn[:, 3])
    angle = (1 - weight) * own + weight * sign * bend
    above_turn, hinge = _about(bone, twist), _about(axis, angle)
    world = multiply(joint_rot[:, above - 1], joint_rot[:, body - 1])
    joint_rot[:, above - 1] = multiply(joint_rot[:, above - 1], above_turn)
    joint_rot[:, body - 1] = hinge
    now = multiply(joint_rot[:, above - 1], hinge)
    after = multiply(multiply(conj(now), world), joint_rot[:, child - 1])
    joint_rot[:, child - 1] = after


def _about(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    half = 0.5 * angle[:, None]
    return np.concatenate([np.sin(half) * axis, np.cos(half)], axis=-1)
