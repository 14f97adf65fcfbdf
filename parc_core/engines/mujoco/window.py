"""The terrain columns under each character of engine `mujoco`, and who has left them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from parc_core.engines.engine import EngineState
from parc_core.engines.mujoco.model import COLUMN_HALF_HEIGHT
from parc_core.rotations import quat_rotate
from parc_core.terrain.packed import PackedTerrain


class TerrainWindow:
    """A square of columns around each of N characters, at the heights of their terrains."""

    def __init__(self, model: Any, terrain: PackedTerrain, size: int, first_body: int, mocap: Tensor) -> None:
        """Args:
        model: mujoco.MjModel of `build_model`; its first size² shapes are the columns.
        terrain: all terrains.
        size: columns along each side.
        first_body: the character's root among the model's bodies.
        mocap: (N, size², 3) float64 m, middles of the columns; written to.
        """
        self.terrain, self._size, self._mocap = terrain, size, mocap
        steps = torch.arange(size) - size // 2
        self._cells = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).reshape(-1, 2)
        shapes = slice(size**2, None)
        self._shape_body = torch.from_numpy(model.geom_bodyid[shapes]).long() - first_body
        self._shape_pos = torch.from_numpy(model.geom_pos[shapes]).float()
        self._shape_radius = torch.from_numpy(model.geom_rbound[shapes]).float()

    def move(self, terrain_ids: Tensor, root_xy: Tensor) -> None:
        """Puts each environment's columns under its root (N, 2) m, tops at the terrain's heights."""
        cells = self.terrain.cell_index(terrain_ids, root_xy[:, None]) + self._cells
        self._mocap[..., :2] = self.terrain.cell_center(terrain_ids, cells).double()
        self._mocap[..., 2] = self.terrain.cell_heights(terrain_ids, cells).double() - COLUMN_HALF_HEIGHT

    def exits(self, terrain_ids: Tensor, state: EngineState) -> Tensor:
        """Whether the middle of a shape is beside the columns, and ground there would be within its reach. (N,) bool.

        There it finds no column to stand on.
        """
        rot, pos = state.body_rot[:, self._shape_body], state.body_pos[:, self._shape_body]
        middle = pos + quat_rotate(rot, self._shape_pos.expand(len(pos), -1, -1))
        # In columns from the window's edge.
        at = (middle[..., :2] - self._mocap[:, :1, :2].float()) / self.terrain.dx + 0.5
        beside = ((at < 0.0) | (at > self._size)).any(-1)
        envs = beside.any(-1).nonzero().flatten()  # few, if any
        left = torch.zeros(len(pos), dtype=torch.bool)
        if len(envs) > 0:
            ground = self.terrain.heights_at(terrain_ids[envs], middle[envs, :, :2])
            low = middle[envs, :, 2] - self._shape_radius < ground
            left[envs] = (beside[envs] & low).any(-1)
        return left
