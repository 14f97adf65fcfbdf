"""The whole contract between a physics engine and the environment, on one page.

Write a new engine by subclassing `Engine`: everything above this room (observations, rewards, learning, evaluation)
uses these members alone. Conventions: SI units, z up, quaternions xyzw, velocities in the world frame, a 3-dof joint's
dof position is its rotation vector and its dof velocity the angular velocity in the child's frame.

Every environment lives in its own motion's frame, so coordinates stay small however many terrains there are.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, Dict

import torch
from torch import Tensor

from parc_core.config.env_config import SimConfig
from parc_core.errors import ConfigError


@dataclass
class EngineState:
    """The physical state after the last step or reset; N environments, J bodies (root first), D dofs.

    Tensors are owned by the engine and overwritten by its next call: clone what must outlive it.
    """

    root_pos: Tensor
    """(N, 3) m."""
    root_rot: Tensor
    """(N, 4) xyzw."""
    root_vel: Tensor
    """(N, 3) m/s, world frame."""
    root_ang_vel: Tensor
    """(N, 3) rad/s, world frame."""
    dof_pos: Tensor
    """(N, D) rad."""
    dof_vel: Tensor
    """(N, D) rad/s."""
    joint_rot: Tensor
    """(N, J-1, 4) xyzw, parent to child."""
    body_pos: Tensor
    """(N, J, 3) m."""
    body_rot: Tensor
    """(N, J, 4) xyzw."""
    contact_forces: Tensor
    """(N, J, 3) N, world frame: the sum over each body's contacts in the last substep, self-contacts included."""
    diverged: Tensor
    """(N,) bool: the simulation became non-finite in the last step and was put back to the rest pose."""


@dataclass
class ResetState:
    """Where to put environments: the same fields for the n environments of one reset."""

    root_pos: Tensor
    """(n, 3) m."""
    root_rot: Tensor
    """(n, 4) xyzw."""
    root_vel: Tensor
    """(n, 3) m/s, world frame."""
    root_ang_vel: Tensor
    """(n, 3) rad/s, world frame."""
    dof_pos: Tensor
    """(n, D) rad."""
    dof_vel: Tensor
    """(n, D) rad/s."""
    terrain_ids: Tensor
    """(n,) int64: the terrain under each environment."""


class Engine(abc.ABC):
    """N simulations of one character, each on a terrain of the packed set."""

    name: str
    num_envs: int
    device: torch.device
    control_dt: float
    """Seconds that one `step` advances."""
    state: EngineState

    @abc.abstractmethod
    def reset(self, env_ids: Tensor, state: ResetState) -> None:
        """Puts environments env_ids (n,) int64 into the given state; contact forces become zero."""

    @abc.abstractmethod
    def step(self, pd_targets: Tensor) -> None:
        """Advances all environments by one control step with PD targets (N, D) rad."""

    @abc.abstractmethod
    def state_dict(self) -> Dict[str, Any]:
        """Everything that an exact continuation needs, as plain tensors."""

    @abc.abstractmethod
    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Takes what `state_dict` gave; `state` is as it was then.

        Raises:
            DataError: the saved state is of another character or number of environments.
        """


def num_substeps(sim: SimConfig, sim_freq: float, control_freq: float) -> int:
    """Physics steps in a control step: sim_freq · substeps / control_freq (60 · 2 / 30 = 4)."""
    ratio = sim_freq * sim.substeps / control_freq
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-6:
        raise ConfigError(
            f"control_freq {control_freq:g} Hz does not divide the physics rate "
            f"sim_freq {sim_freq:g} Hz × substeps {sim.substeps}"
        )
    return round(ratio)
