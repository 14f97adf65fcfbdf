"""All terrains of a dataset side by side in one world: what terrain.pkl and Isaac Gym's triangle mesh need.

The MuJoCo engines do not use it: their environments live in their own motion's frame
(`parc_core.terrain.packed`). There one large terrain costs its own size, here it makes every plot as large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Sequence, Tuple, Union

import numpy as np

from parc_core.errors import ConfigError, DataError
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.heightfield_arrays import HeightfieldArrays
from parc_core.terrain.mesh import Mesh, heightfield_mesh

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
    """(M, T, 4) int64: first cell i, j and size nx, ny of the padded terrain in the grid."""
    plot_dims: Tuple[int, int]
    """Cells along x and y that each terrain has for itself."""
    shared: bool = False
    """One terrain for all motions (mode file): every patch is the whole grid."""

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
        return heightfield_mesh(self.terrain.hf[i : i + nx, j : j + ny], low, self.terrain.dx)


def build_grid(
    terrains: Union[HeightfieldArrays, Sequence[Heightfield]],
    mode: str,
    padding: int,
    dx: float,
    *,
    terrains_per_motion: int = 1,
    num_motions: Optional[int] = None,
) -> TerrainGrid:
    """Arranges terrains as in spec section 5 (golden files 05_grid_square*).

    The rest of a plot beside its padded terrain goes on at the padding's height, plots that no motion uses
    lie at the lowest height of all (the reference leaves both at 0, which can be a cliff or a wall). The
    inputs are not changed.

    Args:
        terrains: one per motion; mode file: exactly one, in the frame that all motions share.
        mode: "square" (ceil(sqrt(M)) plots a side, filled along y first), "wide" (one row of plots along x,
            the copies of a terrain along y) or "file".
        padding: cells around each terrain at its lowest height (`heightfield.padding_cells`); not for file.
        dx: cell size that all terrains must have, m.
        terrains_per_motion: copies of each terrain, mode wide alone has more than one.
        num_motions: mode file: how many motions share the terrain.

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
    flat.check_cell_sizes(dx)
    if mode == "file":
        shared = terrains[0] if not isinstance(terrains, HeightfieldArrays) else flat.heightfields()[0]
        return _shared_grid(shared, len(flat) if num_motions is None else num_motions, terrains_per_motion)
    padded = flat.padded(padding)
    count = len(padded)
    if mode == "square":
        side = math.ceil(math.sqrt(count))
        plots = np.stack(np.divmod(np.arange(count), side), axis=-1)[:, None]  # (M, 1, 2)
        return _arrange(padded, plots, (side, side), dx)
    copies = np.arange(terrains_per_motion)
    plots = np.stack(np.meshgrid(np.arange(count), copies, indexing="ij"), axis=-1)  # (M, T, 2)
    return _arrange(padded, plots, (count, terrains_per_motion), dx)


def _shared_grid(terrain: Heightfield, num_motions: int, copies: int) -> TerrainGrid:
    patch = np.array([0, 0, *terrain.hf.shape], dtype=np.int64)
    return TerrainGrid(
        terrain=terrain,
        motion_offsets=np.zeros((num_motions, copies, 2), dtype=np.float32),
        patches=np.tile(patch, (num_motions, copies, 1)),
        plot_dims=(int(terrain.hf.shape[0]), int(terrain.hf.shape[1])),
        shared=True,
    )


def _arrange(padded: HeightfieldArrays, plots: np.ndarray, sides: Tuple[int, int], dx: float) -> TerrainGrid:
    """Writes padded terrains into plots (M, T, 2) of an arrangement of `sides` plots around the origin."""
    sizes = padded.dims
    plot = sizes.max(axis=0)
    dims = plot * np.array(sides)
    if dims.prod() > _MAX_CELLS:
        largest = int(padded.sizes.argmax())
        raise DataError(
            f"the terrain grid would have {dims[0]} x {dims[1]} cells because terrain {largest} is "
            f"{sizes[largest][0]} x {sizes[largest][1]}; lower max_terrain_dim_x/y of the dataset"
        )
    lowest = padded.lowest
    hf = np.full(tuple(dims), lowest.min(), dtype=np.float32)
    first = plots * plot  # (M, T, 2) cell
    for terrain, low, corners in zip(padded.heightfields(), lowest, first.tolist()):
        nx, ny = terrain.hf.shape
        for i, j in corners:
            hf[i : i + plot[0], j : j + plot[1]] = low
            hf[i : i + nx, j : j + ny] = terrain.hf
    grid_min = -0.5 * dims * dx
    offsets = grid_min + first * dx - padded.min_point.astype(np.float64)[:, None]
    patches = np.concatenate((first, np.broadcast_to(sizes[:, None], first.shape)), axis=-1)
    return TerrainGrid(
        terrain=Heightfield(hf=hf, min_point=grid_min.astype(np.float32), dx=dx),
        motion_offsets=offsets.astype(np.float32),
        patches=patches,
        plot_dims=(int(plot[0]), int(plot[1])),
    )
