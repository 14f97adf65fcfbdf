"""One motion's terrain: a grid of flat-topped cells, and how to pad it and read its heights (numpy).

The batched torch lookups of the environment are in `parc_core.terrain.packed`; both follow the same rule: the
nearest cell centre, ties to the even index, indices beyond the border clamped to it (golden file 04).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from parc_core.errors import ConfigError, DataError

_SCALE_TOLERANCE = 1e-4  # m; files store dx as float32 or float64


@dataclass(frozen=True)
class Heightfield:
    """Heights of flat cells, as stored in a motion-terrain file (spec section 2). Never mutated."""

    hf: np.ndarray
    """(nx, ny) float32 m: height of the flat top of cell (i, j); i runs along x, j along y."""
    min_point: np.ndarray
    """(2,) float32 m: centre of cell (0, 0)."""
    dx: float
    """Cell size, m (0.4 in all published data)."""
    hf_maxmin: Optional[np.ndarray] = None
    """(nx, ny, 2) float32 m: upper and lower bounds of the height (stage 1's), passed through."""


def check_cell_size(terrain: Heightfield, horizontal_scale: float, where: str) -> None:
    """Raises DataError unless the terrain's cells have the size that the environment is configured for."""
    if abs(float(terrain.dx) - horizontal_scale) > _SCALE_TOLERANCE:
        raise DataError(
            f"{where}: terrain cells are {terrain.dx:.6g} m wide but the env config's "
            f"heightmap.horizontal_scale is {horizontal_scale:.6g}; "
            "set horizontal_scale to the data's cell size or leave the file out"
        )


def padding_cells(padding: float, dx: float) -> int:
    """Number of cells in a border of `padding` metres: 1.2 / 0.4 is 3 (not 2 by truncation).

    Raises:
        ConfigError: negative, or not a multiple of dx.
    """
    cells = int(round(padding / dx))
    if padding < 0 or abs(cells * dx - padding) > _SCALE_TOLERANCE:
        raise ConfigError(
            f"heightmap.padding is {padding:g} m, which is not a multiple of the cell size {dx:g} m; "
            f"set it to {max(cells, 0) * round(dx, 6):g}"
        )
    return cells


def nearest_cell(terrain: Heightfield, points: np.ndarray) -> np.ndarray:
    """Cell whose centre is nearest, ties to even, not clamped. (..., 2) m -> (..., 2) int64."""
    relative = (points - terrain.min_point) / np.asarray(terrain.dx, dtype=points.dtype)
    return np.round(relative).astype(np.int64)


def grid_index(terrain: Heightfield, points: np.ndarray) -> np.ndarray:
    """Nearest cell of the terrain: `nearest_cell` clamped to its border. (..., 2) m -> (..., 2) int64."""
    return np.clip(nearest_cell(terrain, points), 0, np.array(terrain.hf.shape) - 1)
