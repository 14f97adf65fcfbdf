"""A character's skeleton as numpy arrays, for worker processes: they read motions without torch, which costs seconds.

The batched torch kinematics is in `character.kinematics`; both give the same body positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, List, Sequence, Tuple

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.system.files import sha256_bytes

if TYPE_CHECKING:
    from parc_core.character.model import Character


@dataclass(frozen=True)
class Skeleton:
    """What the checks need of a character, as numpy arrays: J bodies, root first."""

    parents: Tuple[int, ...]
    offsets: np.ndarray
    """(J, 3) m."""
    rest: np.ndarray
    """(J, 4) xyzw: orientation in the parent's frame at zero dofs."""
    names: Tuple[str, ...]
    kinds: Tuple[str, ...]
    axes: np.ndarray
    """(J, 3) of hinges, zero for other joints."""
    lower: np.ndarray
    """(J, 3) rad: least rotation vector; of a hinge the first component is its angle."""
    upper: np.ndarray
    """(J, 3) rad."""

    def digest(self) -> str:
        """SHA-256 of all of it."""
        arrays = (self.offsets, self.rest, self.axes, self.lower, self.upper)
        text = repr((self.parents, self.names, self.kinds)).encode()
        return sha256_bytes(text + b"".join(array.tobytes() for array in arrays))

    @classmethod
    def of(cls, character: Character) -> Skeleton:
        """The skeleton of a character."""
        count = character.num_bodies
        lower, upper = np.full((count, 3), -np.inf), np.full((count, 3), np.inf)
        for body in range(1, count):
            start, dims = int(character.joint_dof_idx[body]), int(character.joint_dof_dim[body])
            lower[body, :dims] = character.dof_lower[start : start + dims].cpu().numpy()
            upper[body, :dims] = character.dof_upper[start : start + dims].cpu().numpy()
        return cls(
            tuple(character.parent_indices.tolist()),
            character.local_translation.cpu().numpy().astype(np.float64),
            character.local_rotation.cpu().numpy().astype(np.float64),
            tuple(character.joint_names),
            tuple(character.joint_types),
            character.joint_axis.cpu().numpy().astype(np.float64),
            lower,
            upper,
        )


def body_positions(clip: MotionClip, skeleton: Skeleton) -> np.ndarray:
    """Forward kinematics: (n, J, 3) m."""
    return body_poses(clip, skeleton)[0]


def body_poses(clip: MotionClip, skeleton: Skeleton) -> Tuple[np.ndarray, np.ndarray]:
    """Forward kinematics in float64: positions (n, J, 3) m and rotations (n, J, 4) xyzw."""
    positions: List[np.ndarray] = [clip.root_pos.astype(np.float64)]
    rotations: List[np.ndarray] = [clip.root_rot.astype(np.float64)]
    for body in range(1, len(skeleton.parents)):
        parent = skeleton.parents[body]
        turn = rotations[parent]
        positions.append(positions[parent] + rotate(turn, skeleton.offsets[body]))
        local = multiply(np.broadcast_to(skeleton.rest[body], turn.shape), clip.joint_rot[:, body - 1])
        rotations.append(multiply(turn, local))
    return np.stack(positions, axis=1), np.stack(rotations, axis=1)


def posed(local: np.ndarray, offsets: np.ndarray, parents: Sequence[int]) -> Tuple[np.ndarray, np.ndarray]:
    """Forward kinematics of any tree, its root at the origin.

    Args:
        local: (n, J, 4) xyzw: each joint in the frame of its parent.
        offsets: (J, 3) m: each joint in the frame of its parent.
        parents: (J,) the root first, parents before their children.

    Returns:
        Positions (n, J, 3) m and rotations (n, J, 4).
    """
    positions, rotations = [np.zeros((len(local), 3))], [local[:, 0]]
    for joint in range(1, len(parents)):
        parent = parents[joint]
        positions.append(positions[parent] + rotate(rotations[parent], offsets[joint]))
        rotations.append(multiply(rotations[parent], local[:, joint]))
    return np.stack(positions, axis=1), np.stack(rotations, axis=1)


def off_axis(joint_rot: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(n, J-1) rad that each hinge turns about other axes than its own, and each fixed joint at all."""
    off = np.zeros(joint_rot.shape[:2])
    for joint in range(joint_rot.shape[1]):
        kind, q = skeleton.kinds[joint + 1], joint_rot[:, joint].astype(np.float64)
        if kind == "HINGE":
            axis = skeleton.axes[joint + 1]
            along = q[:, :3] @ axis
            off[:, joint] = 2.0 * np.arctan2(
                np.linalg.norm(q[:, :3] - along[:, None] * axis, axis=-1), np.hypot(along, q[:, 3])
            )
        elif kind == "FIXED":
            off[:, joint] = 2.0 * np.arctan2(np.linalg.norm(q[:, :3], axis=-1), np.abs(q[:, 3]))
    return off


def beyond_range(joint_rot: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(n, J-1) rad by which each joint exceeds its range."""
    q = joint_rot.astype(np.float64)
    q = np.where(q[..., 3:] < 0, -q, q)
    length = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(length, q[..., 3:])
    vectors = q[..., :3] * (angle / np.where(length > 1e-9, length, 1.0))
    hinge = np.array([kind == "HINGE" for kind in skeleton.kinds[1:]])
    along = (vectors * skeleton.axes[1:]).sum(axis=-1)
    vectors[:, hinge] = 0.0
    vectors[:, hinge, 0] = along[:, hinge]
    beyond = np.maximum(vectors - skeleton.upper[1:], skeleton.lower[1:] - vectors)
    beyond[:, hinge, 1:] = -np.inf
    return beyond.max(axis=-1)


def wrong_way(joint_rot: np.ndarray, skeleton: Skeleton, bent: float) -> Tuple[float, float]:
    """How hinges bend that can bend one way alone: knees and elbows.

    Args:
        joint_rot: (n, J-1, 4).
        skeleton: of the character.
        bent: rad from which a hinge counts as bent.

    Returns:
        Share of its frames in which such a hinge is bent, and share of those in which it is bent the wrong way; 0 where
        there are none.
    """
    low, high = skeleton.lower[:, 0], skeleton.upper[:, 0]
    one_way = (np.minimum(np.abs(low), np.abs(high)) < 0.1) & (high - low > bent)
    joints = [body - 1 for body, kind in enumerate(skeleton.kinds) if kind == "HINGE" and one_way[body]]
    if not joints:
        return 0.0, 0.0
    bodies = np.array(joints) + 1
    q = joint_rot[:, joints].astype(np.float64)
    angle = 2.0 * np.arctan2((q[..., :3] * skeleton.axes[bodies]).sum(axis=-1), q[..., 3])
    angle = np.where(np.abs(angle) > np.pi, angle - np.sign(angle) * 2 * np.pi, angle)
    angle = angle * np.sign(low[bodies] + high[bodies])
    counted = np.abs(angle) > bent
    return float(counted.mean()), float((angle[counted] < 0).mean()) if counted.any() else 0.0


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    av, aw, bv, bw = a[..., :3], a[..., 3:], b[..., :3], b[..., 3:]
    vector = aw * bv + bw * av + np.cross(av, bv)
    return np.concatenate([vector, aw * bw - (av * bv).sum(axis=-1, keepdims=True)], axis=-1)


def rotate(q: np.ndarray, vector: np.ndarray) -> np.ndarray:
    t = 2.0 * np.cross(q[..., :3], vector)
    return vector + q[..., 3:] * t + np.cross(q[..., :3], t)
