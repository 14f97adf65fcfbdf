"""Masses of a character's bodies, and where their centres are."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.model import Character

GRAVITY = 9.81
"""m/s²."""


def body_masses(character: Character) -> Tuple[Tensor, Tensor]:
    """Mass of each body (J,) kg and its centre in the body's frame (J, 3) m."""
    mass = torch.zeros(character.num_bodies, dtype=torch.float64)
    moment = torch.zeros(character.num_bodies, 3, dtype=torch.float64)
    for geom in character.geoms:
        mass[geom.body] += geom.mass
        moment[geom.body] += geom.mass * torch.tensor(geom.pos, dtype=torch.float64)
    return mass, moment / mass.clamp(min=1e-9)[:, None]


def mass_centers(body_pos: Tensor, body_rot: Tensor, local: Tensor) -> np.ndarray:
    """Centre of mass of each body in the world. (n, J, 3), (n, J, 4), (J, 3) -> (n, J, 3) m."""
    return (body_pos + rotations.quat_rotate(body_rot, local.to(body_pos.dtype))).double().numpy()
