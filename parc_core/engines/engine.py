"""The whole contract between a physics engine and the environment, on one page.

Write a new engine by subclassing `Engine` and giving it a row in `registry.ENGINES`: everything above this room
(observations, rewards, learning, evaluation) uses only these members. An engine whose steps are kernel launches
without host work can be a `GraphEngine`: the environment then records its own kernels together with them.

Conventions: SI units, z up, quaternions xyzw, velocities in the world frame, a 3-dof joint's dof position is its
rotation vector and its dof velocity the angular velocity in the child's frame.

Every environment lives in its own motion's frame, so coordinates stay small however many terrains there are.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional

import torch
from torch import Tensor

from parc_core.motion.library import MotionFrame

MAX_SPEED = 1e4
"""m/s or rad/s; beyond it a simulation counts as diverged though it is finite."""


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
    """(N, J, 3) N, world frame: the sum over each body's contacts in the last substep, self-contacts included (PhysX:
    in all substeps of its last call, see `contact_collection`)."""
    diverged: Tensor
    """(N,) bool: the simulation became non-finite, or faster than MAX_SPEED, in the last step and was put back to the
    rest pose."""


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

    @staticmethod
    def of(frame: MotionFrame, root_pos: Tensor, terrain_ids: Tensor) -> ResetState:
        """As reference motions have it, with roots at `root_pos` (n, 3) m."""
        return ResetState(
            root_pos=root_pos,
            root_rot=frame.root_rot,
            root_vel=frame.root_vel,
            root_ang_vel=frame.root_ang_vel,
            dof_pos=frame.dof_pos,
            dof_vel=frame.dof_vel,
            terrain_ids=terrain_ids,
        )


class Engine(abc.ABC):
    """N simulations of one character, each on a terrain of the packed set.

    The registry makes every engine with the same arguments: character (Character), terrain (PackedTerrain, on the
    device), config (EnvFileConfig), num_envs (N), device (torch.device), num_threads (of the CPU, 0 for all cores).
    """

    name: str
    num_envs: int
    device: torch.device
    control_dt: float
    """Seconds that one `step` advances."""
    state: EngineState
    touched: Optional[Tensor] = None
    """(N, J) bool where `env.all_touches` is set: bodies on which a net contact force above `contact_detection_eps`
    acted in any physics step of the last `step`. `reset` leaves it as it is."""
    external_forces: Optional[Tensor] = None
    """(N, J, 3) N, world frame: what acts on the bodies' centres in every step until it is changed, such as a viewer's
    push; zero at first. None of an engine that cannot."""

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

    def counters(self) -> Dict[str, float]:
        """Environment-steps since the last call in which something went wrong, by its name; waits for the device."""
        return {}


class GraphEngine(Engine):
    """An engine whose control step and reset are launches without host work, which can be part of a recorded graph.

    The tensors of `state`, `pd_targets`, `reset_mask` and `reset_state` keep their storage for ever.
    """

    pd_targets: Tensor
    """(N, D) rad: what `launch_step` makes the joints follow."""
    reset_mask: Tensor
    """(N,) bool: which environments `launch_reset` places."""
    reset_state: ResetState
    """Where it places them, for all N."""

    @abc.abstractmethod
    def launch_step(self) -> None:
        """Advances all environments by one control step with `pd_targets`: only launches."""

    @abc.abstractmethod
    def launch_reset(self) -> None:
        """Places the environments of `reset_mask` as in `reset_state`: only launches."""

    @abc.abstractmethod
    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        """A function that repeats the launches of `launches`, recorded once as one graph where the device has graphs.

        They may run once before, to compile them; the engine puts back its own state after that, the caller its own.
        """
