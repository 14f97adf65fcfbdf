"""Surfaces such as boxes as a terrain of flat cells: each cell as high as most of what lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from parc_core.errors import DataError
from parc_core.terrain.heightfield import Heightfield, grid_index
from parc_core.terrain.obj import Triangles

_PER_CELL = 16
"""Samples along a side of a cell."""
_MAX_CELLS = 250_000
_MAX_WORK = 20_000_000  # samples times triangles, roughly
MAX_TRIANGLES = 20_000
_PHASES = 8  # places of the cells that are tried along each axis
_UNEVEN = 0.06  # m by which heights may differ unnoticed


@dataclass(frozen=True)
class Samples:
    """Heights of a surface on a fine grid. Never mutated."""

    heights: np.ndarray
    """(a, b) m; a and b are multiples of the samples in a cell."""
    low: np.ndarray
    """(2,) m: the corner of the area; sample (i, j) is in the middle of its square."""
    step: float
    """m between samples."""

    def at(self, xy: np.ndarray) -> np.ndarray:
        """Heights (...) m at places (..., 2) m; beyond the area those of its border."""
        index = np.floor((xy - self.low) / self.step).astype(np.int64)
        index = np.clip(index, 0, np.array(self.heights.shape) - 1)
        return self.heights[index[..., 0], index[..., 1]]


def sample_tops(mesh: Triangles, low: np.ndarray, high: np.ndarray, cell: float, ground: float) -> Samples:
    """The highest of the surface and the ground, everywhere in an area.

    Args:
        mesh: the surface.
        low: (2,) m, corner of the area.
        high: (2,) m, the opposite corner; the area is extended to whole cells.
        cell: m, of the terrain to be.
        ground: m, where there is no surface above it.

    Raises:
        DataError: the area has too many cells, or the surface too many triangles.
    """
    cells = np.ceil((high - low) / cell - 1e-9).astype(np.int64)
    if cells.prod() > _MAX_CELLS:
        size = " x ".join(f"{count * cell:.0f}" for count in cells)
        raise DataError(
            f"a terrain of {size} m has more than {_MAX_CELLS} cells of {cell:g} m; cut the motion"
        )
    step = cell / _PER_CELL
    heights = np.full(cells * _PER_CELL, ground)
    spans = _spans(mesh, low, step, heights.shape)
    work = int((spans[:, 1] - spans[:, 0]).prod(axis=-1).sum())
    if work > _MAX_WORK or len(mesh.faces) > MAX_TRIANGLES:
        raise DataError("the mesh has more triangles than boxes have; simplify it")
    corners = mesh.vertices[mesh.faces]
    for (first, last), triangle in zip(spans, corners):
        _raise_under(heights, first, last, triangle, low, step)
    return Samples(heights, np.asarray(low, np.float64), step)


def _spans(mesh: Triangles, low: np.ndarray, step: float, shape: Tuple[int, ...]) -> np.ndarray:
    """(F, 2, 2) first and last (exclusive) sample of the area below each triangle."""
    xy = (mesh.vertices[mesh.faces][..., :2] - low) / step
    first, last = np.floor(xy.min(axis=1)), np.ceil(xy.max(axis=1)) + 1
    return np.clip(np.stack([first, last], axis=1), 0, shape).astype(np.int64)


def _raise_under(
    heights: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    triangle: np.ndarray,
    low: np.ndarray,
    step: float,
) -> None:
    a, b, c = triangle
    u, v = b[:2] - a[:2], c[:2] - a[:2]
    area = u[0] * v[1] - u[1] * v[0]
    if abs(area) < 1e-9 or (last <= first).any():
        return  # upright, or outside
    x = low[0] + (np.arange(first[0], last[0]) + 0.5) * step - a[0]
    y = low[1] + (np.arange(first[1], last[1]) + 0.5) * step - a[1]
    s = (x[:, None] * v[1] - y[None] * v[0]) / area
    t = (y[None] * u[0] - x[:, None] * u[1]) / area
    inside = (s >= -1e-9) & (t >= -1e-9) & (s + t <= 1 + 1e-9)
    z = a[2] + s * (b[2] - a[2]) + t * (c[2] - a[2])
    part = heights[first[0] : last[0], first[1] : last[1]]
    np.maximum(part, np.where(inside, z, -np.inf), out=part)


def cells_of(samples: Samples, cell: float, stances: np.ndarray, points: np.ndarray) -> Heightfield:
    """The terrain of cells that fits the samples and a motion on them best: where its cells lie is searched.

    A cell's edge is seldom where a box's is. What counts first is that the places where the motion stands keep their
    height and that no point of it comes to lie below the ground, then the distance between terrain and samples.

    Args:
        samples: of the surface.
        cell: m.
        stances: (K, 2) m where feet stand.
        points: (P, 3) m of the moving body.
    """
    best, least = None, np.inf
    ground = samples.at(stances)
    for i in range(0, _PER_CELL, _PER_CELL // _PHASES):
        for j in range(0, _PER_CELL, _PER_CELL // _PHASES):
            terrain, off = _cells_from(samples, cell, i, j)
            moved = np.abs(_heights(terrain, stances) - ground) > _UNEVEN
            below = _heights(terrain, points[:, :2]) - points[:, 2] > _UNEVEN
            cost = _share(moved) + _share(below) + 1e-3 * off
            if cost < least:
                best, least = terrain, cost
    assert best is not None
    return best


def _cells_from(samples: Samples, cell: float, i: int, j: int) -> Tuple[Heightfield, float]:
    """The terrain whose first cell begins at sample (i, j), and m between the two on average."""
    part = samples.heights[i:, j:]
    nx, ny = (size // _PER_CELL for size in part.shape)
    part = part[: nx * _PER_CELL, : ny * _PER_CELL].reshape(nx, _PER_CELL, ny, _PER_CELL)
    blocks = part.swapaxes(1, 2).reshape(nx, ny, -1)
    middle = blocks.shape[-1] // 2
    heights = np.partition(blocks, middle, axis=-1)[..., middle]  # one that is there: no means of two boxes
    low = samples.low + np.array([i, j]) * samples.step + 0.5 * cell
    off = float(np.abs(blocks - heights[..., None]).mean())
    return Heightfield(heights.astype(np.float32), low.astype(np.float32), cell), off


def _heights(terrain: Heightfield, xy: np.ndarray) -> np.ndarray:
    index = grid_index(terrain, xy)
    return terrain.hf[index[..., 0], index[..., 1]]


def _share(those: np.ndarray) -> float:
    return float(those.mean()) if those.size else 0.0
