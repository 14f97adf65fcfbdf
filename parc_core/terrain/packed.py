"""Every motion's terrain in one flat tensor on the device: the height lookup of the environments."""

from __future__ import annotations

from typing import Sequence, Union

import torch
from torch import Tensor

from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.heightfield_arrays import HeightfieldArrays


class PackedTerrain:
    """M heightfields of any sizes, end to end; each keeps its own frame, so that no coordinate gets large.

    Attributes:
        heights: (sum of nx·ny,) float32 m, cell (i, j) of terrain m at start[m] + i·ny[m] + j.
        start: (M,) int64.
        dims: (M, 2) int64, nx and ny.
        min_point: (M, 2) float32 m, centre of cell (0, 0).
        dx: () float32 m, the cell size of all terrains. A tensor on the device and not a number, because
            CUDA divides by a number through its reciprocal, which rounds ties of the lookup differently.
    """

    def __init__(
        self,
        terrains: Union[HeightfieldArrays, Sequence[Heightfield]],
        device: torch.device,
        horizontal_scale: float = 0.0,
        names: Sequence[str] = (),
    ) -> None:
        """Packs terrains that are already padded.

        Args:
            terrains: one per motion (or one for all, see terrain_build_mode file).
            device: where the tensors live.
            horizontal_scale: cell size that all must have; 0 takes the first terrain's.
            names: of the terrains, for messages.

        Raises:
            DataError: no terrain, or one with another cell size.
        """
        flat = terrains if isinstance(terrains, HeightfieldArrays) else HeightfieldArrays.of(terrains)
        scale = float(horizontal_scale or flat.dx[0])
        flat.check_cell_sizes(scale, names)
        self.heights = torch.from_numpy(flat.heights).to(device)
        self.start = torch.from_numpy(flat.start).to(device)
        self.dims = torch.from_numpy(flat.dims).to(device)
        self.min_point = torch.from_numpy(flat.min_point).to(device)
        self.dx = torch.tensor(scale, dtype=torch.float32, device=device)

    @property
    def num_terrains(self) -> int:
        """M."""
        return int(self.start.shape[0])

    def ids_of(self, motion_ids: Tensor) -> Tensor:
        """The terrains of motions, (N,) -> (N,): one terrain for each motion, or one for all."""
        return motion_ids if self.num_terrains > 1 else torch.zeros_like(motion_ids)

    def cell_index(self, terrain_ids: Tensor, xy: Tensor) -> Tensor:
        """Cell whose centre is nearest (ties to even), not clamped. (N,), (N, P, 2) m -> (N, P, 2) int64."""
        return torch.round((xy - self.min_point[terrain_ids][:, None]) / self.dx).long()

    def cell_center(self, terrain_ids: Tensor, index: Tensor) -> Tensor:
        """Centres of cells, also of those beyond the border. (N,), (N, P, 2) int64 -> (N, P, 2) m."""
        return self.min_point[terrain_ids][:, None] + index.to(self.dx.dtype) * self.dx

    def cell_heights(self, terrain_ids: Tensor, index: Tensor) -> Tensor:
        """Heights of cells; an index beyond the border is clamped to it. (N,), (N, P, 2) -> (N, P) m."""
        dims = self.dims[terrain_ids]  # (N, 2)
        i = torch.minimum(index[..., 0].clamp(min=0), dims[:, :1] - 1)
        j = torch.minimum(index[..., 1].clamp(min=0), dims[:, 1:] - 1)
        cells = self.start[terrain_ids][:, None] + i * dims[:, 1:] + j
        return self.heights.index_select(0, cells.flatten()).reshape(cells.shape)

    def heights_at(self, terrain_ids: Tensor, xy: Tensor) -> Tensor:
        """Terrain height under points, each environment in its own terrain. (N,), (N, P, 2) m -> (N, P) m."""
        return self.cell_heights(terrain_ids, self.cell_index(terrain_ids, xy))
