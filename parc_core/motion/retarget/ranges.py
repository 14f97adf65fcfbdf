"""Joints within the character's ranges."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

import numpy as np

from parc_core.character.model import HINGE
from parc_core.motion.clip import MotionClip
from parc_core.motion.retarget.geometry import from_rotation_vector, rotation_vector
from parc_core.motion.skeleton import Skeleton, beyond_range


def within_ranges(clip: MotionClip, skeleton: Skeleton) -> Tuple[MotionClip, np.ndarray]:
    """The clip with every joint within its range, and by how much (n, J-1) rad each was beyond."""
    beyond = np.maximum(beyond_range(clip.joint_rot, skeleton), 0.0)
    axes, lower, upper = skeleton.axes[1:], skeleton.lower[1:], skeleton.upper[1:]
    hinges = np.array([kind == HINGE for kind in skeleton.kinds[1:]])
    vectors = rotation_vector(clip.joint_rot)
    along = (vectors * axes).sum(axis=-1)
    held = np.clip(along[:, hinges], lower[hinges, 0], upper[hinges, 0])
    vectors = np.clip(vectors, lower, upper)
    vectors[:, hinges] = held[..., None] * axes[hinges]
    return replace(clip, joint_rot=from_rotation_vector(vectors)), beyond
