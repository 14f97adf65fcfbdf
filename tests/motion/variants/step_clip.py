"""A motion written down by hand: three footholds in three cells, on flat ground."""

from __future__ import annotations

import functools

import numpy as np
import torch

from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.clip import MotionClip
from parc_core.motion.synthetic.curves import smoothstep
from parc_core.motion.synthetic.ik import solve_leg
from parc_core.motion.variants.source import Body
from parc_core.terrain.heightfield import Heightfield

FRAMES = 90
LEVEL = 0.5
"""m: height of the ground."""
LIFT, LAND = 30, 60
"""Last frame of the right foot's first stance, first frame of its second one."""
RIGHT_X, LEFT_X = (0.0, 0.8), 0.4
"""m: ankles, each in the middle of a cell whose centres are at multiples of 0.4 m."""


@functools.lru_cache(maxsize=1)
def body() -> Body:
    return Body(load_character(PROJECT_ROOT / "data/assets/humanoid.xml"))


def step_clip(frames: int = FRAMES) -> MotionClip:
    """The left foot stands all the time; the right one swings from behind it to before it, at most 0.15 m high."""
    phase = np.clip((np.arange(frames) - LIFT) / (LAND - LIFT), 0.0, 1.0)
    right, left = body().legs
    ankles = np.zeros((2, frames, 3))
    ankles[0, :, 0] = RIGHT_X[0] + (RIGHT_X[1] - RIGHT_X[0]) * smoothstep(phase)
    ankles[0, :, 2] = 0.15 * np.sin(np.pi * phase) ** 2
    ankles[1, :, 0] = LEFT_X
    ankles[:, :, 2] += LEVEL + right.sole
    ankles[0, :, 1], ankles[1, :, 1] = right.hip_offset[1], left.hip_offset[1]
    level = torch.zeros(frames, 4, dtype=torch.float64)
    level[:, 3] = 1.0
    root = torch.zeros(frames, 3, dtype=torch.float64)
    root[:, 0] = torch.from_numpy(0.2 + 0.4 * smoothstep(phase))
    root[:, 2] = LEVEL + 0.8
    joints = np.zeros((frames, body().character.num_bodies - 1, 4), np.float32)
    joints[..., 3] = 1.0
    contacts = np.zeros((frames, body().character.num_bodies), np.float32)
    for leg, ankle in zip((right, left), ankles):
        solved = solve_leg(leg, (root, level), (torch.from_numpy(ankle), level))
        for place, rotation in zip((leg.thigh, leg.shin, leg.foot), solved):
            joints[:, place - 1] = rotation.numpy()
        contacts[:, leg.foot] = ankle[:, 2] < LEVEL + right.sole + 0.04
    return MotionClip(
        root.numpy().astype(np.float32), level.numpy().astype(np.float32), joints, contacts, 30, "CLAMP"
    )


def flat(cells: int = 12) -> Heightfield:
    """Cells whose centres are at multiples of 0.4 m, around the origin."""
    corner = -0.4 * (cells // 2)
    return Heightfield(np.full((cells, cells), LEVEL, np.float32), np.full(2, corner, np.float32), 0.4)
