"""Puts recorded frames to the origin, with the part of the terrain that is around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.recording.perform import Frames
from parc_core.terrain.heightfield import Heightfield, grid_index, nearest_cell

_MARGIN_M = 1.0


def padding(dx: float) -> float:
    """Ground around the root's path, m: PARC's round(1.0 // dx) · dx, 0.8 for cells of 0.4 m."""
    return round(_MARGIN_M // dx) * dx


def placed(frames: Frames, terrain: Heightfield, fps: int) -> Tuple[MotionClip, Heightfield]:
    """The motion with its first frame at (0, 0) on ground of height 0, and its part of the terrain.

    The part is the bounding box of the root's path and `padding`, rounded to whole cells, both ends included. Cells
    beyond the terrain take the height of the nearest cell of its border.

    Args:
        frames: n frames in the motion's own frame.
        terrain: the motion's own, as in its file.
        fps: frames per second.
    """
    xy = frames.root_pos[:, :2].astype(np.float64)
    box = np.stack((xy.min(0) - padding(terrain.dx), xy.max(0) + padding(terrain.dx)))
    exact = replace(terrain, min_point=terrain.min_point.astype(np.float64))
    low, high = nearest_cell(exact, box)
    rows, columns = (np.clip(np.arange(low[k], high[k] + 1), 0, terrain.hf.shape[k] - 1) for k in range(2))
    ground = terrain.hf[tuple(grid_index(exact, xy[0]))]
    part = Heightfield(
        hf=(terrain.hf[np.ix_(rows, columns)] - ground).astype(np.float32),
        min_point=(exact.min_point + low * terrain.dx - xy[0]).astype(np.float32),
        dx=terrain.dx,
    )
    root_pos = frames.root_pos.astype(np.float64) - np.append(xy[0], ground)
    return (
        MotionClip(
            root_pos.astype(np.float32), frames.root_rot, frames.joint_rot, frames.contacts, fps, "CLAMP"
        ),
        part,
    )
