"""Many heightfields end to end in a few numpy arrays: what thousands of terrains are loaded, padded and kept as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

import numpy as np

from parc_core.errors import DataError
from parc_core.terrain.heightfield import Heightfield, check_cell_size


@dataclass(frozen=True)
class HeightfieldArrays:
    """M heightfields of any sizes, each in its own frame. Never mutated."""

    heights: np.ndarray
    """(sum of nx·ny,) float32 m: cell (i, j) of terrain m at start[m] + i·ny[m] + j."""
    dims: np.ndarray
    """(M, 2) int64: nx and ny."""
    min_point: np.ndarray
    """(M, 2) float32 m: centre of cell (0, 0)."""
    dx: np.ndarray
    """(M,) float64 m: cell sizes."""

    @classmethod
    def of(cls, terrains: Sequence[Heightfield]) -> HeightfieldArrays:
        """Packs heightfields; their stage-1 bounds (hf_maxmin) are left behind.

        Raises:
            DataError: there is none.
        """
        if len(terrains) == 0:
            raise DataError("there is no terrain: the dataset holds no motion with terrain_data")
        return cls(
            heights=np.concatenate([np.asarray(t.hf, dtype=np.float32).ravel() for t in terrains]),
            dims=np.array([t.hf.shape for t in terrains], dtype=np.int64),
            min_point=np.array([t.min_point for t in terrains], dtype=np.float32),
            dx=np.array([t.dx for t in terrains], dtype=np.float64),
        )

    @classmethod
    def join(cls, parts: Sequence[HeightfieldArrays]) -> HeightfieldArrays:
        """The terrains of all parts, in their order."""
        return cls(*(np.concatenate([getattr(p, k) for p in parts]) for k in cls.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.dims)

    @property
    def sizes(self) -> np.ndarray:
        """(M,) int64: cells of each terrain."""
        return self.dims[:, 0] * self.dims[:, 1]

    @property
    def start(self) -> np.ndarray:
        """(M,) int64: place of each terrain's first cell."""
        sizes = self.sizes
        return np.cumsum(sizes) - sizes

    @property
    def lowest(self) -> np.ndarray:
        """(M,) float32 m: the lowest height of each terrain."""
        return np.minimum.reduceat(self.heights, self.start)

    def heightfields(self) -> List[Heightfield]:
        """The terrains one by one, as views."""
        parts = np.split(self.heights, self.start[1:])
        return [
            Heightfield(part.reshape(dims), low, float(dx))
            for part, dims, low, dx in zip(parts, self.dims.tolist(), self.min_point, self.dx)
        ]

    def check_cell_sizes(self, horizontal_scale: float, names: Sequence[str] = ()) -> None:
        """Raises DataError, naming the terrain, unless all cells are `horizontal_scale` m wide."""
        odd = int(np.abs(self.dx - horizontal_scale).argmax())
        field = Heightfield(np.zeros((1, 1), np.float32), self.min_point[odd], float(self.dx[odd]))
        check_cell_size(field, horizontal_scale, terrain_name(odd, names))

    def padded(self, cells: int) -> HeightfieldArrays:
        """Each terrain with a border of `cells` cells at its lowest height, as `heightfield.pad` makes it."""
        if cells < 0:
            raise ValueError(f"cells must not be negative, got {cells}")
        if cells == 0:
            return self
        dims = self.dims + 2 * cells
        sizes = dims[:, 0] * dims[:, 1]
        owner = np.repeat(np.arange(len(self)), sizes)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        ny = self.dims[owner, 1]
        i, j = np.divmod(place, ny + 2 * cells)
        i, j = i - cells, j - cells
        inside = (i >= 0) & (i < self.dims[owner, 0]) & (j >= 0) & (j < ny)
        heights = self.lowest[owner]
        # Cells of a terrain come in the same order with and without border.
        heights[inside] = self.heights
        shift = np.float32(cells) * self.dx.astype(np.float32)
        return HeightfieldArrays(heights, dims, (self.min_point - shift[:, None]).astype(np.float32), self.dx)


def terrain_name(number: int, names: Sequence[str]) -> str:
    """What messages call a terrain."""
    return names[number] if number < len(names) else f"terrain {number}"
