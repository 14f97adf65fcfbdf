"""Height lookup of `PackedTerrain` as Warp functions: the same cells, bit for bit."""

# Warp's stubs describe calls from Python; inside kernels vectors have operators that they do not know.
# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, attr-defined, valid-type"

from __future__ import annotations

import warp as wp

from parc_core.engines.mujoco_warp.types import TerrainArrays


@wp.func
def cell_index(terrain: TerrainArrays, terrain_id: wp.int64, x: float, y: float) -> wp.vec2i:
    """Cell whose centre is nearest to a point in m, ties to even as in torch.round; not clamped."""
    low = terrain.min_point[terrain_id]
    dx = terrain.dx[0]
    return wp.vec2i(int(wp.rint((x - low[0]) / dx)), int(wp.rint((y - low[1]) / dx)))


@wp.func
def cell_center(terrain: TerrainArrays, terrain_id: wp.int64, cell: wp.vec2i) -> wp.vec2:
    """Centre of a cell in m, also of one beyond the border."""
    low = terrain.min_point[terrain_id]
    dx = terrain.dx[0]
    return wp.vec2(low[0] + float(cell[0]) * dx, low[1] + float(cell[1]) * dx)


@wp.func
def cell_height(terrain: TerrainArrays, terrain_id: wp.int64, cell: wp.vec2i) -> float:
    """Height of a cell in m; an index beyond the border is clamped to it."""
    nx = terrain.dims[terrain_id, 0]
    ny = terrain.dims[terrain_id, 1]
    i = wp.clamp(cell[0], 0, nx - 1)
    j = wp.clamp(cell[1], 0, ny - 1)
    return terrain.heights[terrain.start[terrain_id] + wp.int64(i * ny + j)]


@wp.func
def height_at(terrain: TerrainArrays, terrain_id: wp.int64, x: float, y: float) -> float:
    """Terrain height under a point, m."""
    return cell_height(terrain, terrain_id, cell_index(terrain, terrain_id, x, y))
