"""terrain.pkl: the terrain grid of a training, as a motion-terrain container (spec section 2).

PARC's own tools read it, and theirs can be read here.
"""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.container import read_misc, read_motion_terrain, write_motion_terrain
from parc_core.motion.formats.numbers import array, float32, number
from parc_core.system.files import PathLike
from parc_core.terrain.grid import TerrainGrid
from parc_core.terrain.heightfield import Heightfield


def write_terrain_pkl(path: PathLike, grid: TerrainGrid, with_meshes: bool = True) -> None:
    """Writes motion_data None, terrain_data = the whole grid, misc_data = offsets and meshes.

    Args:
        path: the file, replaced atomically.
        grid: what to write.
        with_meshes: also `all_terrain_verts` and `all_terrain_tris` ([M][T] arrays), about 30 times as large
            as the heights. A terrain shared by all motions is written once, as [1][1].

    Raises:
        ConfigError: the place cannot be written.
    """
    misc: Dict[str, Any] = {
        "terrains_per_motion": grid.terrains_per_motion,
        "motion_offsets": grid.motion_offsets,
    }
    if with_meshes:
        motions, copies = (1, 1) if grid.shared else grid.motion_offsets.shape[:2]
        meshes = [[grid.patch_mesh(m, t) for t in range(copies)] for m in range(motions)]
        misc["all_terrain_verts"] = [[vertices for vertices, _ in row] for row in meshes]
        misc["all_terrain_tris"] = [[triangles for _, triangles in row] for row in meshes]
    write_motion_terrain(path, MotionTerrain(motion=None, terrain=grid.terrain, misc=safe_pickle.dumps(misc)))


class TerrainFile:
    """The content of a terrain.pkl, which is made for one dataset.

    Attributes:
        terrain: the whole grid.
        terrains_per_motion: T.
        motion_offsets: (M, T, 2) float32 m.
        vertices, triangles: [M][T] arrays; empty lists where the file has no meshes.
    """

    def __init__(self, terrain: Heightfield, misc: Dict[str, Any]) -> None:
        self.terrain = terrain
        self.terrains_per_motion = int(number(misc["terrains_per_motion"], "terrains_per_motion"))
        self.motion_offsets = float32(array(misc["motion_offsets"], "motion_offsets"))
        self.vertices: List[List[np.ndarray]] = misc.get("all_terrain_verts", [])
        self.triangles: List[List[np.ndarray]] = misc.get("all_terrain_tris", [])


def read_terrain_pkl(path: PathLike) -> TerrainFile:
    """Reads a terrain.pkl of this project or of PARC.

    Raises:
        DataError: no such file, not a motion-terrain container, or without the grid's offsets.
    """
    content = read_motion_terrain(path)
    misc = read_misc(content, allow_torch=True, where=str(path))
    if content.terrain is None:
        raise DataError(
            f"{path}: terrain_data is None, so this is not a terrain grid; delete it to build a new one"
        )
    for key in ("terrains_per_motion", "motion_offsets"):
        if key not in misc:
            raise DataError(
                f"{path}: misc_data lacks {key}, so this is not a terrain grid; give a terrain.pkl"
            )
    try:
        return TerrainFile(content.terrain, misc)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
