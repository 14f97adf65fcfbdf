"""What the critic sees beside the observation (`env.critic_obs`) and the policy does not: needed in training alone.

Numbers are of the order of 1 as they are; no normalizer learns from them. The fused environment writes the same in
`envs/warp/critic_obs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, NamedTuple

import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.config.env_config import EnvConfig
from parc_core.engines.engine import EngineState
from parc_core.envs.reference import Reference
from parc_core.envs.task import TaskTensors
from parc_core.motion.library import MotionLibrary
from parc_core.rotations import quat_diff_angle

TIMES = (0.3, 1.0, 3.0)  # s; the values at 30 Hz and a discount of 0.99 look about 3.3 s ahead
FORCE = 100.0  # N
FARTHEST = 2.0  # times the limit
LEAST_LIMIT = 1e-3  # m or rad; a limit may be 0
_MULTIPLE = 8  # of numbers: matrices with other rows are multiplied slower on a GPU


@dataclass
class PrivilegedState:
    """What the terms look at; rows of n environments."""

    config: EnvConfig
    task: TaskTensors
    root_pos: Tensor
    """(n, 3) m."""
    root_rot: Tensor
    """(n, 4)."""
    body_pos: Tensor
    """(n, J, 3) m."""
    contact_forces: Tensor
    """(n, J, 3) N."""
    ref: Reference
    left: Tensor
    """(n,) s until the motion ends; infinite where it loops."""
    fail_rates: Tensor
    """(n,) of the motions."""


def time_left(s: PrivilegedState) -> Tensor:
    """exp(−s until the motion ends / `TIMES`), where values fall to 0. An episode's end by time is not in it: the value
    of what would come next counts there. (n, 3)."""
    return torch.exp(-s.left[:, None] / s.left.new_tensor(TIMES))


def errors(s: PrivilegedState) -> Tensor:
    """Distances from the reference over the limits at which an episode ends, up to `FARTHEST`: the root's position and
    rotation, then each other body relative to the root. (n, J + 1)."""
    ref, scale = s.ref.pose, s.task.limit_scale
    dist = (s.root_pos - ref.root_pos).norm(dim=-1, keepdim=True)
    angle = quat_diff_angle(s.root_rot, ref.root_rot)[:, None]
    rel = s.body_pos[:, 1:] - s.body_pos[:, :1]
    bodies = (rel - (s.ref.body_pos[:, 1:] - s.ref.body_pos[:, :1])).norm(dim=-1)
    parts = (
        dist / (s.config.root_pos_termination_dist * scale).clamp_min(LEAST_LIMIT),
        angle / (s.config.root_rot_termination_angle * scale).clamp_min(LEAST_LIMIT),
        bodies / (s.task.max_body_dist * scale).clamp_min(LEAST_LIMIT),
    )
    return torch.cat(parts, dim=1).clamp_max(FARTHEST)


def fail_rate(s: PrivilegedState) -> Tensor:
    """How often the motion fails, 0 to 1. (n, 1)."""
    return s.fail_rates[:, None]


def forces(s: PrivilegedState) -> Tensor:
    """log(1 + contact force of each body / `FORCE`). (n, J)."""
    return torch.log1p(s.contact_forces.norm(dim=-1) / FORCE)


class CriticTerm(NamedTuple):
    """Consecutive numbers that one function makes."""

    width: Callable[[int], int]
    """Of a character of J bodies."""
    values: Callable[[PrivilegedState], Tensor]
    """(n, width)."""


CRITIC_TERMS: Dict[str, CriticTerm] = {
    "time_left": CriticTerm(lambda bodies: len(TIMES), time_left),
    "errors": CriticTerm(lambda bodies: bodies + 1, errors),
    "fail_rate": CriticTerm(lambda bodies: 1, fail_rate),
    "forces": CriticTerm(lambda bodies: bodies, forces),
}
"""By their names in `env.critic_obs`; their order in the vector."""


class CriticObs:
    """Which terms there are and where.

    Attributes:
        starts: term -> where it begins; the config's only.
        dim: P, with zeros at the end to a multiple of 8; 0 where the critic sees nothing more.
    """

    def __init__(
        self, config: EnvConfig, task: TaskTensors, kinematics: Kinematics, library: MotionLibrary
    ) -> None:
        self._config, self._task, self._kinematics, self._library = config, task, kinematics, library
        bodies, at = len(task.contact_weights), 0
        self.starts: Dict[str, int] = {}
        for name, term in CRITIC_TERMS.items():
            if name in config.critic_obs:
                self.starts[name] = at
                at += term.width(bodies)
        self.dim = -(-at // _MULTIPLE) * _MULTIPLE

    def vector(
        self, state: EngineState, ids: Tensor, motion_ids: Tensor, times: Tensor, fail_rates: Tensor
    ) -> Tensor:
        """(n, dim) of some environments.

        Args:
            state: of all environments.
            ids: (n,) those that are meant.
            motion_ids, times: (n,), (n,) s: where they are in which motion.
            fail_rates: (n,) of these motions.
        """
        library = self._library
        ref = Reference(library, self._kinematics, self._task.key_ids, motion_ids, times)
        left = (library.lengths[motion_ids] - times).clamp_min(0.0)
        left = left.masked_fill(library.loop_wrap[motion_ids], torch.inf)
        privileged = PrivilegedState(
            self._config,
            self._task,
            state.root_pos[ids],
            state.root_rot[ids],
            state.body_pos[ids],
            state.contact_forces[ids],
            ref,
            left,
            fail_rates,
        )
        found = torch.zeros(len(ids), self.dim, device=left.device)
        for name, start in self.starts.items():
            values = CRITIC_TERMS[name].values(privileged)
            found[:, start : start + values.shape[1]] = values
        return found
