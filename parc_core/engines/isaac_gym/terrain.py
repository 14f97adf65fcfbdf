"""The ground of engine `isaac_gym`: all terrains in one world, as triangle meshes, and where each motion lies in it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Iterator, List

import numpy as np
import torch

from parc_core.engines.isaac_gym.api import IsaacGym
from parc_core.terrain.grid import TerrainGrid, build_grid
from parc_core.terrain.heightfield_arrays import HeightfieldArrays
from parc_core.terrain.mesh import Mesh, rectangle_mesh, voxel_mesh_chunks
from parc_core.terrain.packed import PackedTerrain

if TYPE_CHECKING:
    from isaacgym import gymapi

    from parc_core.config.env_config import PlaneConfig

_LOG = logging.getLogger(__name__)
_RIM = 100.0  # m of flat ground around the world, so that nothing that leaves it falls for ever
_FAR = 4096.0  # m; beyond it float32 resolves half a millimetre


class TerrainWorld:
    """The grid of spec section 5, of terrains that are already padded.

    Attributes:
        grid: the heightfield of the whole world.
        offsets: (M, 3) float32 m: moves terrain m from its motion's frame into the world; z is 0.
    """

    def __init__(self, terrain: PackedTerrain, mode: str) -> None:
        """Args:
        terrain: all terrains, padded.
        mode: terrain_build_mode; the copies of mode `wide` are skipped, agents on one terrain do not collide.
        """
        self.grid = _arranged(terrain, mode)
        xy = torch.from_numpy(self.grid.motion_offsets[:, 0]).to(terrain.heights.device)
        self.offsets = torch.cat((xy, torch.zeros_like(xy[:, :1])), dim=1)
        far = float(self.offsets.abs().max())
        if far > _FAR:
            _LOG.warning(
                "terrains lie up to %.0f m from the world's origin, where float32 positions are coarser than half a "
                "millimetre; terrain_build_mode square keeps them nearer",
                far,
            )

    def meshes(self) -> Iterator[Mesh]:
        """The world's surface in chunks, then the rim around it."""
        field = self.grid.terrain
        yield from voxel_mesh_chunks(field.hf, field.min_point, field.dx)
        low = np.asarray(field.min_point, dtype=np.float64) - 0.5 * field.dx
        yield rim_mesh(low, low + np.array(field.hf.shape) * field.dx, float(field.hf.min()))

    def add_to(self, isaac: IsaacGym, sim: gymapi.Sim, plane: PlaneConfig) -> int:
        """Adds all meshes with the ground's friction and restitution to a simulation; returns their number."""
        from isaacgym import gymapi

        count = 0
        for vertices, triangles in self.meshes():
            params = gymapi.TriangleMeshParams()
            params.nb_vertices, params.nb_triangles = len(vertices), len(triangles)
            params.static_friction = plane.static_friction
            params.dynamic_friction = plane.dynamic_friction
            params.restitution = plane.restitution
            isaac.gym.add_triangle_mesh(sim, _flat(vertices), _flat(triangles), params)
            count += 1
        return count


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(-1)


def _arranged(terrain: PackedTerrain, mode: str) -> TerrainGrid:
    sizes = terrain.num_terrains
    flat = HeightfieldArrays(
        heights=terrain.heights.cpu().numpy(),
        dims=terrain.dims.cpu().numpy(),
        min_point=terrain.min_point.cpu().numpy(),
        dx=np.full(sizes, float(terrain.dx), dtype=np.float64),
    )
    return build_grid(flat, mode, 0, float(terrain.dx))


def rim_mesh(low: np.ndarray, high: np.ndarray, height: float) -> Mesh:
    """Four rectangles around the rectangle from low (2,) to high (2,) m, `_RIM` wide, facing up."""
    (x0, y0), (x1, y1) = low, high
    corners = (
        ((x0 - _RIM, y0 - _RIM), (x0, y1 + _RIM)),
        ((x1, y0 - _RIM), (x1 + _RIM, y1 + _RIM)),
        ((x0, y0 - _RIM), (x1, y0)),
        ((x0, y1), (x1, y1 + _RIM)),
    )
    parts = [rectangle_mesh(np.array(a), np.array(b), height) for a, b in corners]
    return joined(parts)


def joined(parts: List[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in parts[:-1]])
    triangles = [t + np.uint32(start) for (_, t), start in zip(parts, starts)]
    return np.concatenate([v for v, _ in parts]), np.concatenate(triangles).astype(np.uint32)
