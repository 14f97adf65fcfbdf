"""What a dataset wants of a motion that its file lacks: contacts, and ground to stand on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.terrain.heightfield import Heightfield

CELL = 0.4
"""m, as in all published data."""
_MARGIN = 2.0  # m beyond the root's path: a leap's length
_MAX_CELLS = 4_000_000


def completed(content: MotionTerrain, num_bodies: int, flat: bool, where: str) -> MotionTerrain:
    """The content with contacts (zeros) and, where wanted, a flat terrain at height 0 below the whole path.

    Args:
        content: of a file.
        num_bodies: J of the character.
        flat: whether a motion without terrain gets a flat one.
        where: for messages.

    Raises:
        DataError: the path is too long for a terrain.
    """
    clip = content.motion
    if clip is None:
        return content
    if clip.body_contacts is None:
        clip = replace(clip, body_contacts=np.zeros((clip.num_frames, num_bodies), np.float32))
        content = replace(content, motion=clip)
    if content.terrain is None and flat:
        content = replace(content, terrain=flat_terrain(clip.root_pos[:, :2], where))
    return content


def flat_terrain(path: np.ndarray, where: str, height: float = 0.0) -> Heightfield:
    """A flat terrain that reaches 2 m beyond a path.

    Args:
        path: (n, 2) m.
        where: for messages.
        height: m.

    Raises:
        DataError: the path is too long.
    """
    low = np.floor((path.min(axis=0).astype(np.float64) - _MARGIN) / CELL)
    high = np.ceil((path.max(axis=0).astype(np.float64) + _MARGIN) / CELL)
    count = high - low + 1
    if count.prod() > _MAX_CELLS:
        size = " x ".join(f"{value * CELL:.0f}" for value in count)
        raise DataError(f"{where}: its path needs a terrain of {size} m; cut the motion into shorter ones")
    nx, ny = (int(value) for value in count)
    return Heightfield(np.full((nx, ny), height, np.float32), (low * CELL).astype(np.float32), CELL)
