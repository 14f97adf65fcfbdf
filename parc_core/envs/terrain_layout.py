"""The dataset's terrains as the environment stands on them and as PARC's terrain.pkl arranges them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import List, Union

import torch

from parc_core.config.env_config import EnvFileConfig
from parc_core.errors import DataError
from parc_core.motion.dataset.loading import LoadedDataset
from parc_core.motion.formats.terrain_grid import write_terrain_pkl
from parc_core.terrain.grid import TerrainGrid, build_grid
from parc_core.terrain.heightfield import Heightfield, padding_cells
from parc_core.terrain.heightfield_arrays import HeightfieldArrays
from parc_core.terrain.packed import PackedTerrain


@dataclass(frozen=True)
class TerrainLayout:
    """Terrains as read, not padded."""

    terrains: Union[HeightfieldArrays, List[Heightfield]]
    """One per motion; a list of the one for all in mode file."""
    names: List[str]
    """For messages."""
    mode: str
    """terrain_build_mode: square, wide or file."""
    padding: int
    """Cells around each terrain."""
    dx: float
    """Cell size, m."""
    copies: int
    """terrains_per_motion."""
    num_motions: int

    @classmethod
    def from_dataset(cls, config: EnvFileConfig, dataset: LoadedDataset) -> TerrainLayout:
        """Raises DataError when mode `file` has no terrain to use, ConfigError for a padding that is not a multiple."""
        dm = config.env.dm
        terrains: Union[HeightfieldArrays, List[Heightfield]] = dataset.terrains
        names = list(dataset.names)
        if dm.terrain_build_mode == "file":
            if dataset.shared_terrain is None:
                raise DataError(
                    f"{dm.motion_file}: terrain_build_mode file needs a line `terrain: path`; add it or choose square"
                )
            terrains, names = [dataset.shared_terrain], ["the shared terrain"]
        return cls(
            terrains=terrains,
            names=names,
            mode=dm.terrain_build_mode,
            padding=padding_cells(dm.heightmap.padding, dm.heightmap.horizontal_scale),
            dx=dm.heightmap.horizontal_scale,
            copies=dm.terrains_per_motion,
            num_motions=dataset.num_motions,
        )

    def pack(self, device: torch.device) -> PackedTerrain:
        """All heights in one tensor on the device; per-motion terrains are padded, a shared one is as it is."""
        terrains = self.terrains
        if isinstance(terrains, HeightfieldArrays):
            terrains = terrains.padded(self.padding)
        return PackedTerrain(terrains, device, self.dx, self.names)

    def write(self, path: Union[str, os.PathLike[str]], with_meshes: bool = True) -> None:
        """Writes terrain.pkl: one grid in the arrangement of `mode`, with meshes if wanted."""
        write_terrain_pkl(path, self.grid(), with_meshes)

    def grid(self) -> TerrainGrid:
        """One grid in the arrangement of `mode`."""
        return build_grid(
            self.terrains,
            self.mode,
            self.padding,
            self.dx,
            terrains_per_motion=self.copies,
            num_motions=self.num_motions,
            names=self.names,
        )
