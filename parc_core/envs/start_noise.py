"""Noise of the states in which episodes begin, so that learning meets states beside the reference, too."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from parc_core.config.start_noise import StartNoise
from parc_core.engines.engine import ResetState
from parc_core.rotations import exp_map_to_quat, quat_mul


class NoiseSource:
    """Draws it.

    Attributes:
        is_on: whether there is any.
    """

    def __init__(
        self, config: StartNoise, dofs: int, generator: torch.Generator, device: torch.device
    ) -> None:
        scales = [config.root_rot] * 3 + [config.root_vel] * 3 + [config.root_ang_vel] * 3
        scales += [config.dof_pos] * dofs + [config.dof_vel] * dofs
        self.is_on = any(scales)
        self._scales = torch.tensor(scales, device=device)
        self._generator = generator

    def draw(self, n: int) -> Tensor:
        """(n, 9 + 2 D): of the root rotation vector, velocity, angular velocity; of joints positions, velocities."""
        shape, device = (n, len(self._scales)), self._scales.device
        return (torch.rand(shape, generator=self._generator, device=device) * 2.0 - 1.0) * self._scales


def noisy(state: ResetState, noise: Tensor) -> ResetState:
    """`state` with noise (n, 9 + 2 D) of a `NoiseSource`; rotations are about the world's axes."""
    dofs = state.dof_pos.shape[1]
    rot, vel, ang_vel, dof_pos, dof_vel = noise.split([3, 3, 3, dofs, dofs], dim=1)
    return dataclasses.replace(
        state,
        root_rot=quat_mul(exp_map_to_quat(rot), state.root_rot),
        root_vel=state.root_vel + vel,
        root_ang_vel=state.root_ang_vel + ang_vel,
        dof_pos=state.dof_pos + dof_pos,
        dof_vel=state.dof_vel + dof_vel,
    )
