"""Clips tracked once from their first frame to their end: the loop of every evaluation, and the test while training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable

import torch
from torch import Tensor

from parc_core.envs.terminations import TIME_EPS, FailReason
from parc_core.envs.tracking_error import NAMES as ERROR_NAMES

Policy = Callable[[Tensor], Tensor]
"""(N, obs_dim) observations -> (N, D) actions in the environment's units."""

_STEPS_PER_LOOK = (
    30  # steps between two looks at how many clips are still tracked: each look waits for the device
)
_SUMS = 2 + len(ERROR_NAMES)  # return, joint error, the seven tracking errors


@dataclass(frozen=True)
class Tracked:
    """What became of n clips, on the environment's device."""

    sums: Tensor
    """(n, 9) float64: return, joint error (m) and the tracking errors, summed over steps."""
    steps: Tensor
    """(n,) int64: control steps tracked."""
    scored: Tensor
    """(n,) int64: steps that the errors were summed over (one less where the simulation diverged)."""
    reason: Tensor
    """(n,) int64 `FailReason`; MOTION_END is a completed clip."""

    @property
    def completed(self) -> Tensor:
        """(n,) bool."""
        return self.reason == FailReason.MOTION_END

    @property
    def mean_errors(self) -> Tensor:
        """(n, 8) float64: joint error and tracking errors, means over the scored steps."""
        return self.sums[:, 1:] / self.scored.clamp(min=1)[:, None]


@torch.no_grad()
def track_clips(
    env: Any,
    policy: Policy,
    ids: Tensor,
    report: Callable[[int], None] = lambda ended: None,
    beat: Callable[[], None] = lambda: None,
) -> Tracked:
    """Tracks clips ids (n,), n <= N, side by side from their first frames to their ends.

    A clip ends as the environment says; `episode_length` does not count, for nothing is reset on the way.

    Args:
        env: see `TrackingEnv`; its episodes are given up.
        report: called now and then with the number of clips that have ended.
        beat: called every step.
    """
    n = len(ids)
    # Environments without a clip of their own repeat the first; nobody reads them.
    padded = torch.cat((ids, ids[:1].expand(env.num_envs - n)))
    obs = env.reset_to(padded, torch.zeros(env.num_envs, device=env.device))
    ends = env.library.lengths[ids] - TIME_EPS
    alive = torch.ones(n, dtype=torch.bool, device=env.device)
    sums = torch.zeros(n, _SUMS, dtype=torch.float64, device=env.device)
    steps, scored, reason = (torch.zeros(n, dtype=torch.long, device=env.device) for _ in range(3))
    for step in range(1, math.ceil(float(ends.max()) / env.control_dt) + 2):
        obs, reward, _, _ = env.step(policy(obs))
        now = torch.cat((reward[:, None], env.joint_error()[:, None], env.tracking_error()), dim=1)[:n]
        failed = env.fail_reason[:n]
        # A diverged simulation was put back to a rest pose, whose errors say nothing.
        valid = alive & (failed != FailReason.DIVERGED)
        sums += torch.where(valid[:, None], now.double(), torch.zeros_like(sums))
        steps += alive
        scored += valid
        # A looping clip has no end of its own: one loop is enough.
        looped = (env.motion_times[:n] >= ends) & (failed == FailReason.NONE)
        failed = torch.where(looped, torch.full_like(failed, FailReason.MOTION_END), failed)
        reason = torch.where(alive, failed, reason)
        alive = alive & (failed == FailReason.NONE)
        beat()
        if step % _STEPS_PER_LOOK == 0:
            left = int(alive.sum())
            report(n - left)
            if left == 0:
                break
    return Tracked(sums, steps, scored, reason)
