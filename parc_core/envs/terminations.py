"""When an episode ends (spec section 6). The fused environment has the same tests in `envs/warp/terminations.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Callable, NamedTuple, Optional, Union

import torch
from torch import Tensor

from parc_core.config.env_config import EnvConfig
from parc_core.config.ramp import ramp
from parc_core.engines.engine import EngineState
from parc_core.envs.reference import Reference
from parc_core.envs.task import TaskTensors
from parc_core.rotations import quat_diff_angle

FIRST_STEP = 1e-5  # s; nothing fails before the first step
TIME_EPS = 1e-4  # s; a motion ends within float32's reach of its length
MIN_FALL_FORCE = 0.1  # N; a body touches where a component of its contact force exceeds this


class DoneFlag(IntEnum):
    """Values of `done`; PARC's numbers."""

    NULL = 0
    FAIL = 1
    SUCC = 2
    TIME = 3


class FailReason(IntEnum):
    """Why an environment failed, for reports. Numbers are places in tensors alone: files have labels, and which of
    several reasons wins is the order of `TERMINATIONS`."""

    NONE = 0
    DIVERGED = 1
    FALL = 2
    ROOT_POSITION = 3
    ROOT_ROTATION = 4
    BODY_POSITION = 5
    MOTION_END = 6

    @property
    def label(self) -> str:
        """What reports call it; statistics are saved under it."""
        return "simulation diverged" if self is FailReason.DIVERGED else self.name.lower().replace("_", " ")

    @property
    def column(self) -> str:
        """Of statistics and log.txt."""
        return "Fail_" + self.label.title().replace(" ", "_")


FAILURES = tuple(reason for reason in FailReason if reason not in (FailReason.NONE, FailReason.MOTION_END))
"""Reasons that are failures; reaching the motion's end is none."""


@dataclass
class StepResult:
    """Where a step led: what the tests look at."""

    config: EnvConfig
    task: TaskTensors
    state: EngineState
    ref: Reference
    motion_times: Tensor
    """(N,) s in the clip."""
    motion_lengths: Tensor
    """(N,) s of the clip."""
    motion_loops: Tensor
    """(N,) bool: the clip has no end."""
    ground: Callable[[], Tensor]
    """Looks up the terrain's height under each body, (N, J) m."""

    def scaled(self, limit: Union[float, Tensor]) -> Tensor:
        """A limit as it is now in a training whose limits change. (1,), or (J-1,) of one for each body."""
        return limit * self.task.limit_scale


def limit_scale(config: EnvConfig, samples: int) -> Optional[float]:
    """Factor of the limits of distance from the reference after `samples` of a training; None = always as set."""
    if config.termination_anneal_samples is None:
        return None
    return ramp(
        config.termination_scale_start,
        config.termination_scale_end,
        samples,
        config.termination_anneal_samples,
    )


def motion_ended(times: Tensor, lengths: Tensor, loops: Tensor) -> Tensor:
    """A motion that does not loop is over; that is FAIL, else standing still pays. (N,) s, s, bool -> (N,) bool."""
    return (times >= lengths - TIME_EPS) & ~loops


def pose_failed(body_pos: Tensor, tar_body_pos: Tensor, max_dist: Tensor) -> Tensor:
    """A non-root body's position relative to its root is off by more than max_dist.

    Args:
        body_pos, tar_body_pos: (N, J, 3) m, root first.
        max_dist: (J-1,) m.

    Returns:
        (N,) bool.
    """
    rel = body_pos[:, 1:] - body_pos[:, :1]
    tar_rel = tar_body_pos[:, 1:] - tar_body_pos[:, :1]
    dist: Tensor = (rel - tar_rel).norm(dim=-1)
    return (dist > max_dist).any(-1)


def root_far(root_pos: Tensor, tar_root_pos: Tensor, max_dist: Union[float, Tensor]) -> Tensor:
    """The root is farther than max_dist (m) from its reference. (N, 3), (N, 3) -> (N,) bool."""
    dist: Tensor = (root_pos - tar_root_pos).norm(dim=-1)
    return dist > max_dist


def root_turned(root_rot: Tensor, tar_root_rot: Tensor, max_angle: Union[float, Tensor]) -> Tensor:
    """The root is turned from its reference by more than max_angle (rad). (N, 4), (N, 4) -> (N,) bool."""
    return quat_diff_angle(root_rot, tar_root_rot) > max_angle


def fallen(
    contact_forces: Tensor,
    body_pos: Tensor,
    fall_heights: Tensor,
    may_touch: Tensor,
    min_force: float = MIN_FALL_FORCE,
) -> Tensor:
    """A body that may not touch the ground touches something, and one that may not is low.

    The two may be different bodies, as in the reference.

    Args:
        contact_forces: (N, J, 3) N; a body touches where a component exceeds min_force.
        body_pos: (N, J, 3) m.
        fall_heights: (N, J) m: terrain height under each body + termination_height.
        may_touch: (J,) bool: bodies listed in contact_bodies.

    Returns:
        (N,) bool.
    """
    touching = (contact_forces.abs() > min_force).any(-1) & ~may_touch
    low = (body_pos[..., 2] < fall_heights) & ~may_touch
    return touching.any(-1) & low.any(-1)


def _has_fallen(s: StepResult) -> Tensor:
    heights = s.ground() + s.config.termination_height
    return fallen(s.state.contact_forces, s.state.body_pos, heights, s.task.may_touch)


def _tests_bodies(config: EnvConfig) -> bool:
    return config.enable_early_termination and config.pose_termination


def _tests_root(config: EnvConfig) -> bool:
    return _tests_bodies(config) and config.track_root


class Termination(NamedTuple):
    """One test after every step."""

    reason: FailReason
    test: Callable[[StepResult], Tensor]
    """(N,) bool."""
    enabled: Callable[[EnvConfig], bool] = lambda config: True


TERMINATIONS = (
    Termination(FailReason.DIVERGED, lambda s: s.state.diverged),
    Termination(
        FailReason.FALL, _has_fallen, lambda c: c.enable_early_termination and bool(c.contact_bodies)
    ),
    Termination(
        FailReason.ROOT_POSITION,
        lambda s: root_far(
            s.state.root_pos, s.ref.pose.root_pos, s.scaled(s.config.root_pos_termination_dist)
        ),
        _tests_root,
    ),
    Termination(
        FailReason.ROOT_ROTATION,
        lambda s: root_turned(
            s.state.root_rot, s.ref.pose.root_rot, s.scaled(s.config.root_rot_termination_angle)
        ),
        _tests_root,
    ),
    Termination(
        FailReason.BODY_POSITION,
        lambda s: pose_failed(s.state.body_pos, s.ref.body_pos, s.scaled(s.task.max_body_dist)),
        _tests_bodies,
    ),
    Termination(
        FailReason.MOTION_END, lambda s: motion_ended(s.motion_times, s.motion_lengths, s.motion_loops)
    ),
)
"""Of several that hold, the first is the reason."""


def fail_reasons(s: StepResult) -> Tensor:
    """`FailReason` of every environment after a step. (N,) int64."""
    reason = torch.zeros_like(s.motion_times, dtype=torch.int64)
    for each in reversed(TERMINATIONS):
        if each.enabled(s.config):
            reason = torch.where(each.test(s), torch.full_like(reason, each.reason), reason)
    return reason


def done_flags(time: Tensor, episode_length: float, failed: Optional[Tensor]) -> Tensor:
    """Combines the tests: TIME at episode_length, FAIL (which wins) only after the first step. (N,) int64.

    Args:
        time: (N,) s since the episode began.
        episode_length: s.
        failed: (N,) bool, or None without early termination.
    """
    done = DoneFlag.TIME * (time >= episode_length).to(torch.int64)
    if failed is not None:
        done = torch.where(failed & (time > FIRST_STEP), torch.full_like(done, DoneFlag.FAIL), done)
    return done
