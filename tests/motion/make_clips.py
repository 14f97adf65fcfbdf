"""Small motion clips written down by hand for the tests of motion/."""

from __future__ import annotations

import numpy as np

from parc_core.motion.clip import MotionClip

NUM_BODIES = 15
IDENTITY = np.array([0.0, 0.0, 0.0, 1.0], dtype=np.float32)


def still_clip(
    num_frames: int = 3, fps: int = 30, loop_mode: str = "CLAMP", contacts: bool = True
) -> MotionClip:
    """The T-pose, standing still at the origin."""
    return MotionClip(
        root_pos=np.zeros((num_frames, 3), np.float32),
        root_rot=np.tile(IDENTITY, (num_frames, 1)),
        joint_rot=np.tile(IDENTITY, (num_frames, NUM_BODIES - 1, 1)),
        body_contacts=np.zeros((num_frames, NUM_BODIES), np.float32) if contacts else None,
        fps=fps,
        loop_mode=loop_mode,
    )


def turn(axis: str, angle: float) -> np.ndarray:
    """Quaternion (4,) of a rotation about x, y or z by `angle` rad."""
    quat = np.zeros(4, np.float32)
    quat["xyz".index(axis)] = np.sin(0.5 * angle)
    quat[3] = np.cos(0.5 * angle)
    return quat
