"""All terrains of a dataset side by side in one world: what terrain.pkl and Isaac Gym's triangle mesh need.

The MuJoCo engines do not use it: their environments live in their own motion's frame
(`parc_core.terrain.packed`). There one large terrain costs its own size, here it makes every plot as large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Optional, Sequence, Union

import numpy as np

from parc_core.errors import ConfigError, DataError
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.heightfield_arrays import HeightfieldArrays, terrain_name
from parc_core.terrain.mesh import Mesh, heightfield_mesh, with_skirt

BUILD_MODES = ("square", "wide", "file")
_MAX_CELLS = 500_000_000  # 2 GB of float32


@dataclass(frozen=True)
class TerrainGrid:
    """M motions × T copies of terrain in one heightfield."""

    terrain: Heightfield
    """The whole grid."""
    motion_offsets: np.ndarray
    """(M, T, 2) float32 m: moves motion m from its own frame into its copy t in the grid."""
    patches: np.ndarray
    """(M, T, 4) int64: first cell i, j and size nx, ny of the motion's terrain in the grid; with its padding in mode
    square, without in mode wide, where the outermost padding lies beyond the grid."""
    shared: bool = False
    """One terrain for all motions (mode file): every patch is the whole grid."""
    skirt: float = 0.0
    """m of flat ground around each patch's mesh (mode wide: the padding)."""

    @property
    def num_motions(self) -> int:
        """M."""
        return int(self.motion_offsets.shape[0])

    @property
    def terrains_per_motion(self) -> int:
        """T."""
        return int(self.motion_offsets.shape[1])

    def patch_mesh(self, motion: int, copy: int = 0) -> Mesh:
        """Mesh of the padded terrain of one motion, in the grid's frame."""
        i, j, nx, ny = (int(v) for v in self.patches[motion, copy])
        low = np.asarray(self.terrain.min_point, dtype=np.float64) + np.array([i, j]) * float(self.terrain.dx)
        mesh = heightfield_mesh(self.terrain.hf[i : i + nx, j : j + ny], low, self.terrain.dx)
        return with_skirt(mesh, self.skirt) if self.skirt > 0 else mesh


def build_grid(
    terrains: Union[HeightfieldArrays, Sequence[Heightfield]],
    mode: str,
    padding: int,
    dx: float,
    *,
    terrains_per_motion: int = 1,
    num_motions: Optional[int] = None,
    names: Sequence[str] = (),
) -> TerrainGrid:
    """Arranges terrains as in spec section 5 (golden files 05_grid_square*, 05_grid_wide*).

    What lies beside a terrain goes on at the height of its padding, plots that no motion uses lie at the lowest
    height of all (the reference leaves both at 0, which can be a cliff or a wall). The inputs are not changed.

    Args:
        terrains: one per motion; mode file: exactly one, in the frame that all motions share.
        mode: "square" (ceil(sqrt(M)) plots a side, filled along y first, around the origin), "wide" (terrains of their
            own sizes side by side along x, their copies along y, two paddings between neighbours; the first cell of
            the first terrain is the grid's first and has its centre at the origin) or "file".
        padding: cells around each terrain at its lowest height (`heightfield.padding_cells`); not for file.
        dx: cell size that all terrains must have, m.
        terrains_per_motion: copies of each terrain, mode wide alone has more than one.
        num_motions: mode file: how many motions share the terrain.
        names: of the terrains, for messages.

    Raises:
        ConfigError: unknown mode; copies asked of a mode that has none.
        DataError: no terrain, another cell size, or a grid too large for memory.
    """
    if mode not in BUILD_MODES:
        raise ConfigError(f"dm.terrain_build_mode is {mode!r}; choose one of {', '.join(BUILD_MODES)}")
    if terrains_per_motion < 1 or (terrains_per_motion > 1 and mode == "square"):
        raise ConfigError(
            f"dm.terrains_per_motion is {terrains_per_motion}; it must be 1 with terrain_build_mode {mode}"
        )
    flat = terrains if isinstance(terrains, HeightfieldArrays) else HeightfieldArrays.of(terrains)
    flat.check_cell_sizes(dx, names)
    if mode == "file":
        shared = terrains[0] if not isinstance(terrains, HeightfieldArrays) else flat.heightfields()[0]
        return _shared_grid(shared, len(flat) if num_motions is None else num_motions, terrains_per_motion)
    return (
        _square(flat.padded(padding), dx, names)
        if mode == "square"
        else _wide(flat, terrains_per_motion, padding, dx, names)
    )


def _shared_grid(terrain: Heightfield, num_motions: int, copies: int) -> TerrainGrid:
    patch = np.array([0, 0, *terrain.hf.shape], dtype=np.int64)
    return TerrainGrid(
        terrain=terrain,
        motion_offsets=np.zeros((num_motions, copies, 2), dtype=np.float32),
        patches=np.tile(patch, (num_motions, copies, 1)),
        shared=True,
    )


def _square(padded: HeightfieldArrays, dx: float, names: Sequence[str]) -> TerrainGrid:
    """Plots as large as the largest padded terrain, around the origin."""
    count, plot = len(padded), padded.dims.max(axis=0)
    side = math.ceil(math.sqrt(count))
    first = np.stack(np.divmod(np.arange(count), side), axis=-1)[:, None] * plot  # (M, 1, 2)
    dims = plot * side
    margins = np.stack((np.zeros_like(padded.dims), plot - padded.dims), axis=1)
    return _laid_out(padded, first, dims, -0.5 * dims * dx, margins, dx, names)


def _wide(
    terrains: HeightfieldArrays, copies: int, padding: int, dx: float, names: Sequence[str]
) -> TerrainGrid:
    """Each terrain in its own size; what there is between two terrains belongs to both halves' paddings."""
    step = terrains.dims + 2 * padding
    along_x = np.cumsum(step[:, 0]) - step[:, 0]
    first = np.empty((len(terrains), copies, 2), dtype=np.int64)
    first[..., 0] = along_x[:, None]
    first[..., 1] = np.arange(copies) * step[:, 1:]
    dims = (first[:, -1] + terrains.dims).max(axis=0)
    margins = np.full((len(terrains), 2, 2), padding)
    grid = _laid_out(terrains, first, dims, np.zeros(2), margins, dx, names)
    return replace(grid, skirt=padding * dx)


def _laid_out(
    terrains: HeightfieldArrays,
    first: np.ndarray,
    dims: np.ndarray,
    grid_min: np.ndarray,
    margins: np.ndarray,
    dx: float,
    names: Sequence[str],
) -> TerrainGrid:
    """The grid with each terrain at its places.

    Args:
        terrains: M.
        first: (M, T, 2) their first cells.
        dims: (2,) cells of the grid.
        grid_min: (2,) m, centre of its first cell.
        margins: (M, 2, 2) cells before and behind each terrain, along x and y, that lie at its lowest height.
        names: of the terrains, for messages.
    """
    if dims.prod() > _MAX_CELLS:
        largest = int(terrains.sizes.argmax())
        nx, ny = terrains.dims[largest]
        raise DataError(
            f"the terrain grid would have {dims[0]} x {dims[1]} cells because that of "
            f"{terrain_name(largest, names)} is {nx} x {ny}; lower max_terrain_dim_x/y of the dataset"
        )
    lowest = terrains.lowest
    hf = np.full(tuple(dims), lowest.min(), dtype=np.float32)
    for terrain, low, corners, (before, behind) in zip(terrains.heightfields(), lowest, first, margins):
        for corner in corners:
            around = np.maximum(corner - before, 0), corner + terrain.hf.shape + behind
            hf[around[0][0] : around[1][0], around[0][1] : around[1][1]] = low
            hf[corner[0] : corner[0] + terrain.hf.shape[0], corner[1] : corner[1] + terrain.hf.shape[1]] = (
                terrain.hf
            )
    offsets = grid_min + first * dx - terrains.min_point.astype(np.float64)[:, None]
    patches = np.concatenate((first, np.broadcast_to(terrains.dims[:, None], first.shape)), axis=-1)
    return TerrainGrid(
        terrain=Heightfield(hf=hf, min_point=np.asarray(grid_min, dtype=np.float32), dx=dx),
        motion_offsets=offsets.astype(np.float32),
        patches=patches,
    )
