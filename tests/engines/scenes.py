"""Characters and grounds that both MuJoCo engines are tested with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from parc_core.config.env_config import DeepMimicConfig, HeightmapConfig
from parc_core.engines.engine import ResetState
from parc_core.rotations import normalize, yaw_quat
from parc_core.terrain.heightfield import Heightfield
from tests.envs.scenes import humanoid

MASS = 50.05  # kg
GRAVITY = 9.81
HIGH = 50.0  # m; nothing is touched up there
# From the root to the soles: thigh .421546, shin .40987, foot box .0225 + .0275.
LEG = 0.421546 + 0.40987 + 0.05
FEET = [11, 14]


def flat(height: float = 0.0, cells: int = 9) -> Heightfield:
    half = 0.4 * (cells // 2)
    return Heightfield(np.full((cells, cells), height, np.float32), np.full(2, -half, np.float32), 0.4)


def fine(dx: float) -> Heightfield:
    """4 × 4 m of flat ground in cells of dx m."""
    cells = round(4.0 / dx) + 1
    return Heightfield(np.zeros((cells, cells), np.float32), np.full(2, -2.0, np.float32), dx)


def cells_of(dx: float) -> DeepMimicConfig:
    return DeepMimicConfig(heightmap=HeightmapConfig(horizontal_scale=dx))


def stepped() -> Heightfield:
    """Cells with i ≥ 5 (x > 0.2 m) are 0.6 m high."""
    hf = np.zeros((9, 9), np.float32)
    hf[5:] = 0.6
    return Heightfield(hf, np.full(2, -1.6, np.float32), 0.4)


def state(n: int = 1, height: float = LEG, **changes: Tensor) -> ResetState:
    """Standing in the T-pose at the origin, at rest."""
    root_pos = torch.zeros(n, 3)
    root_pos[:, 2] = height
    fields = {
        "root_pos": root_pos,
        "root_rot": yaw_quat(torch.zeros(n)),
        "root_vel": torch.zeros(n, 3),
        "root_ang_vel": torch.zeros(n, 3),
        "dof_pos": torch.zeros(n, 28),
        "dof_vel": torch.zeros(n, 28),
        "terrain_ids": torch.zeros(n, dtype=torch.long),
    }
    return ResetState(**{**fields, **changes})


SPREAD = 0.5  # rad of each leg to its side
# Feet stay level; the root stands lower by what the legs spread.
STRADDLE = (0.421546 + 0.40987) * float(np.cos(SPREAD)) + 0.05


def straddling(n: int = 1) -> ResetState:
    """Standing with both feet 0.48 m beside the root."""
    put = state(n, STRADDLE + 0.005)
    for name, side in (("right", -1.0), ("left", 1.0)):
        for joint, turn in (("hip", side), ("ankle", -side)):
            put.dof_pos[:, dof_of(f"{name}_{joint}")] = turn * SPREAD
    return put


def dof_of(joint: str) -> int:
    """The first dof of a joint of the character: of a spherical one the turn about x."""
    c = humanoid()
    return int(c.joint_dof_idx[c.joint_names.index(joint)])


def random_state(n: int, height: float = HIGH, seed: int = 0) -> ResetState:
    g = torch.Generator().manual_seed(seed)
    c = humanoid()
    span = torch.rand(n, 28, generator=g)
    return state(
        n,
        height,
        root_rot=normalize(torch.randn(n, 4, generator=g)),
        root_vel=torch.randn(n, 3, generator=g),
        root_ang_vel=torch.randn(n, 3, generator=g),
        dof_pos=0.6 * (c.dof_lower + span * (c.dof_upper - c.dof_lower)),
        dof_vel=torch.randn(n, 28, generator=g),
    )
