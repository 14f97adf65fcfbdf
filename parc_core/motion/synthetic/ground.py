"""The blocky terrain under and around a planned motion."""

from __future__ import annotations

import numpy as np

from parc_core.motion.synthetic.kinds import CELL
from parc_core.motion.synthetic.plan import MotionPlan
from parc_core.terrain.heightfield import Heightfield

_MARGIN = 4  # cells beyond the path
_CLEAR = 0.9  # m from the path to blocks that are only there to be seen


def to_world(plan: MotionPlan, xy: np.ndarray) -> np.ndarray:
    """From the plan's frame to the motion's. (..., 2) m -> (..., 2) m."""
    c, s = np.cos(plan.yaw), np.sin(plan.yaw)
    return np.stack((c * xy[..., 0] - s * xy[..., 1], s * xy[..., 0] + c * xy[..., 1]), axis=-1)


def make_terrain(plan: MotionPlan, path: np.ndarray, rng: np.random.Generator) -> Heightfield:
    """Cells under the path by the plan's profile, with random blocks and pits well away from it.

    Args:
        plan: the motion's plan; where its ground is not flat its yaw is a multiple of a quarter turn.
        path: (p, 2) m in the motion's frame: points that the character passes.
        rng: draws the blocks.
    """
    low = np.floor(path.min(axis=0) / CELL + 0.5).astype(int) - _MARGIN
    high = np.ceil(path.max(axis=0) / CELL - 0.5).astype(int) + _MARGIN
    cells = np.stack(np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(low, high)), indexing="ij"), axis=-1)
    centers = cells * CELL
    along = centers[..., 0] * np.cos(plan.yaw) + centers[..., 1] * np.sin(plan.yaw)
    heights = plan.ground.height(along)
    far = np.linalg.norm(centers[..., None, :] - path, axis=-1).min(axis=-1) > _CLEAR
    density = rng.choice([0.0, 0.2, 0.4])
    blocks = np.round(rng.uniform(-0.5, 1.0, far.shape), 1)
    heights = np.where(far & (rng.uniform(size=far.shape) < density), heights + blocks, heights)
    return Heightfield(
        hf=(heights + plan.elevation).astype(np.float32),
        min_point=(low * CELL).astype(np.float32),
        dx=CELL,
    )
