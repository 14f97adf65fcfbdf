"""The "voxelized" triangle mesh of a heightfield: one flat quad per cell, a vertical wall between neighbours.

Vertex and triangle order are those of the reference (golden files 05_grid_square*), so that a terrain.pkl
serves its tools too. Walls between cells of equal height are degenerate triangles; the reference has them,
physics engines drop them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Iterator, Tuple

import numpy as np

Mesh = Tuple[np.ndarray, np.ndarray]
"""Vertices (V, 3) float32 m and triangles (F, 3) uint32, counter-clockwise seen from outside."""

_CACHED_CELLS = 100_000  # larger tables are made anew each time, not kept
# Corners of a cell's quad in vertex order: signs of half a cell along x and y.
_CORNERS = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], dtype=np.float32)


def heightfield_mesh(hf: np.ndarray, min_point: np.ndarray, dx: float) -> Mesh:
    """Mesh of one terrain.

    Args:
        hf: (nx, ny) m.
        min_point: (2,) m, centre of cell (0, 0).
        dx: cell size, m.

    Returns:
        4·nx·ny vertices and 2·(nx·ny + (nx−1)·ny + nx·(ny−1)) triangles (quads, walls along x, walls along
        y); a terrain of one height everywhere is 4 vertices and 2 triangles.
    """
    if (hf == hf.flat[0]).all():
        return _flat_mesh(hf, min_point, dx)
    nx, ny = hf.shape
    return _quad_vertices(hf, min_point, dx), _triangles(nx, ny).copy()


def voxel_mesh_chunks(
    hf: np.ndarray, min_point: np.ndarray, dx: float, max_cells: int = 500_000
) -> Iterator[Mesh]:
    """The surface of a large heightfield in strips along x, without the walls between cells of equal height.

    Together the strips are the mesh of `heightfield_mesh`: every quad and every wall that has an area, once each. A
    strip's last wall needs the quads of the next strip's first row, so it carries their vertices, too.

    Args:
        hf: (nx, ny) m.
        min_point: (2,) m, centre of cell (0, 0).
        dx: cell size, m.
        max_cells: cells in a strip; one row is the least.

    Yields:
        Vertices and triangles of one strip, in the heightfield's frame.
    """
    nx, ny = hf.shape
    rows = max(1, min(nx, max_cells // max(ny, 1)))
    for first in range(0, nx, rows):
        own = min(rows, nx - first)
        strip = hf[first : first + own + 1]
        low = np.asarray(min_point, dtype=np.float64) + np.array([first, 0]) * float(dx)
        yield _quad_vertices(strip, low, dx), _strip_triangles(strip, own)


def _strip_triangles(hf: np.ndarray, own: int) -> np.ndarray:
    """Triangles of a strip's first `own` rows and of the walls behind each; (F, 3) uint32."""
    nx, ny = hf.shape
    quads = np.arange(4 * nx * ny, dtype=np.uint32).reshape(nx, ny, 4)
    mine = quads[:own]
    floors = np.stack((mine[..., [0, 2, 1]], mine[..., [0, 3, 2]]), axis=2)
    step = hf[:-1] != hf[1:]
    a, b = quads[:-1][step], quads[1:][step]
    walls_x = _walls(a[..., 3], b[..., 1], a[..., 2], b[..., 0])
    step = hf[:own, :-1] != hf[:own, 1:]
    a, b = mine[:, :-1][step], mine[:, 1:][step]
    walls_y = _walls(a[..., 1], a[..., 2], b[..., 3], b[..., 0], last_first=True)
    return np.concatenate([part.reshape(-1, 3) for part in (floors, walls_x, walls_y)])


@lru_cache(maxsize=512)
def _triangles(nx: int, ny: int) -> np.ndarray:
    """Vertex numbers of all triangles, the same for all terrains of one size. -> (F, 3) uint32."""
    quads = np.arange(4 * nx * ny, dtype=np.int64).reshape(nx, ny, 4)  # vertex numbers
    floors = np.stack((quads[..., [0, 2, 1]], quads[..., [0, 3, 2]]), axis=2)
    a, b = quads[:-1], quads[1:]  # neighbours along x
    walls_x = _walls(a[..., 3], b[..., 1], a[..., 2], b[..., 0])
    a, b = quads[:, :-1], quads[:, 1:]  # neighbours along y
    walls_y = _walls(a[..., 1], a[..., 2], b[..., 3], b[..., 0], last_first=True)
    triangles = np.concatenate([part.reshape(-1, 3) for part in (floors, walls_x, walls_y)])
    return triangles.astype(np.uint32)


def _walls(
    p: np.ndarray, q: np.ndarray, r: np.ndarray, s: np.ndarray, last_first: bool = False
) -> np.ndarray:
    """Two triangles per neighbouring pair: (p, q, r) and the one that completes the wall. -> (..., 2, 3)."""
    second = (p, r, s) if last_first else (p, s, q)
    return np.stack((np.stack((p, q, r), axis=-1), np.stack(second, axis=-1)), axis=-2)


def _quad_vertices(hf: np.ndarray, min_point: np.ndarray, dx: float) -> np.ndarray:
    """Four corners of every cell's top. -> (4·nx·ny, 3) float32 m."""
    vertices = np.empty((*hf.shape, 4, 3), dtype=np.float32)
    places = _corner_places if hf.size <= _CACHED_CELLS else _corner_places.__wrapped__
    vertices[..., :2] = np.asarray(min_point, dtype=np.float64) + places(*hf.shape) * float(dx)
    vertices[..., 2] = hf[:, :, None]
    return vertices.reshape(-1, 3)


@lru_cache(maxsize=512)
def _corner_places(nx: int, ny: int) -> np.ndarray:
    """x and y of the corners of every cell, in cells from the centre of cell (0, 0). -> (nx, ny, 4, 2)."""
    cells = np.stack(np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij"), axis=-1)
    return cells[:, :, None] + 0.5 * _CORNERS.astype(np.float64)


def _flat_mesh(hf: np.ndarray, min_point: np.ndarray, dx: float) -> Mesh:
    low = np.asarray(min_point, dtype=np.float64) - 0.5 * float(dx)
    return rectangle_mesh(low, low + np.array(hf.shape) * float(dx), float(hf.flat[0]))


def with_skirt(mesh: Mesh, width: float) -> Mesh:
    """A terrain's mesh with a flat frame around it at its lowest height; a flat terrain's rectangle only grows.

    Eight vertices (the inner corners, then the outer ones) and eight triangles come behind the others, as in the
    reference.

    Args:
        mesh: of `heightfield_mesh`.
        width: of the frame, m.
    """
    vertices, triangles = mesh
    low, high = vertices.min(axis=0).astype(np.float64), vertices.max(axis=0).astype(np.float64)
    if len(vertices) == 4:
        return rectangle_mesh(low[:2] - width, high[:2] + width, float(low[2]))
    inner, _ = rectangle_mesh(low[:2], high[:2], float(low[2]))
    outer, _ = rectangle_mesh(low[:2] - width, high[:2] + width, float(low[2]))
    frame = np.array(
        [[0, 4, 5], [0, 5, 1], [1, 5, 7], [1, 7, 3], [3, 7, 6], [3, 6, 2], [2, 6, 4], [2, 4, 0]],
        dtype=np.uint32,
    )
    return (
        np.concatenate((vertices, inner, outer)),
        np.concatenate((triangles, frame + np.uint32(len(vertices)))),
    )


def rectangle_mesh(low: np.ndarray, high: np.ndarray, height: float) -> Mesh:
    """A horizontal rectangle between two corners (2,) m, facing up."""
    vertices = np.array(
        [(x, y, height) for y in (low[1], high[1]) for x in (low[0], high[0])], dtype=np.float32
    )
    return vertices, np.array([[0, 1, 2], [1, 3, 2]], dtype=np.uint32)
