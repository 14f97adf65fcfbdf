"""When an episode ends (spec section 6)."""

from __future__ import annotations

from enum import IntEnum
from typing import Optional, Tuple

import torch
from torch import Tensor

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
    """Why an environment failed, for reports; of several that apply the one declared first."""

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
    return ((rel - tar_rel).norm(dim=-1) > max_dist).any(-1)


def root_failed(
    root_pos: Tensor,
    root_rot: Tensor,
    tar_root_pos: Tensor,
    tar_root_rot: Tensor,
    max_dist: float,
    max_angle: float,
) -> Tuple[Tensor, Tensor]:
    """The root is farther than max_dist (m) or turned by more than max_angle (rad). Two (N,) bool."""
    far = (root_pos - tar_root_pos).norm(dim=-1) > max_dist
    turned = quat_diff_angle(root_rot, tar_root_rot) > max_angle
    return far, turned


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
