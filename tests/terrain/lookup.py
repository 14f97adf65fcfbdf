"""Lookups and padding of one terrain in numpy: what the packed tensors are compared with."""

from __future__ import annotations

import numpy as np

from parc_core.terrain.heightfield import Heightfield, grid_index


def pad(terrain: Heightfield, cells: int) -> Heightfield:
    """A copy with a border of `cells` cells at the lowest height of the terrain.

    The bounds of the border's heights (hf_maxmin) are the widest of the terrain (golden 04: pad1_maxmin).
    """
    if cells < 0:
        raise ValueError(f"cells must not be negative, got {cells}")
    hf = np.pad(terrain.hf, cells, constant_values=terrain.hf.min())
    bounds = None
    if terrain.hf_maxmin is not None:
        upper, lower = terrain.hf_maxmin[..., 0], terrain.hf_maxmin[..., 1]
        bounds = np.stack(
            (
                np.pad(upper, cells, constant_values=upper.max()),
                np.pad(lower, cells, constant_values=lower.min()),
            ),
            axis=-1,
        )
    min_point = (terrain.min_point - np.float32(cells) * np.float32(terrain.dx)).astype(np.float32)
    return Heightfield(hf=hf, min_point=min_point, dx=terrain.dx, hf_maxmin=bounds)


def heights_at(terrain: Heightfield, points: np.ndarray) -> np.ndarray:
    """Terrain height under each point. (..., 2) m -> (...) m."""
    index = grid_index(terrain, points)
    return terrain.hf[index[..., 0], index[..., 1]]


def cell_center(terrain: Heightfield, index: np.ndarray) -> np.ndarray:
    """Centres of cells; the index may lie outside. (..., 2) int -> (..., 2) float32 m."""
    return terrain.min_point + index.astype(np.float32) * np.float32(terrain.dx)
