"""How far a policy follows clips: rewards and errors of every clip, summed over its steps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import islice
from typing import Callable, Optional

import torch
from torch import Tensor

from parc_core.envs.terminations import FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.tracking_error import NAMES as ERROR_NAMES
from parc_core.playback.play import Policy, play, waves

Progress = Callable[[int, int], None]
"""Called with the number of clips done and of all clips, once per wave and every second or so within it."""

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
    env: TrackingEnv,
    policy: Policy,
    ids: Tensor,
    report: Callable[[int], None] = lambda ended: None,
    heartbeat: Callable[[], None] = lambda: None,
) -> Tracked:
    """Tracks clips ids (n,), n <= N, side by side from their first frames to their ends.

    Args:
        env: its episodes are given up.
        policy: observations -> actions.
        report: called now and then with the number of clips that have ended.
        heartbeat: called every step.
    """
    n = len(ids)
    sums = torch.zeros(n, _SUMS, dtype=torch.float64, device=env.device)
    steps, scored, reason = (torch.zeros(n, dtype=torch.long, device=env.device) for _ in range(3))
    for step in islice(play(env, policy, ids), 1, None):  # the start has no reward
        errors = torch.cat((env.joint_error()[:, None], env.tracking_error()), dim=1)[:n]
        now = torch.cat((step.reward[:, None], errors), dim=1).double()
        # A diverged simulation was put back to a rest pose, whose errors say nothing.
        valid = step.alive & (step.reason != FailReason.DIVERGED)
        sums += torch.where(valid[:, None], now, torch.zeros_like(sums))
        steps += step.alive
        scored += valid
        reason = step.reason
        heartbeat()
        if step.ended is not None:
            report(step.ended)
    return Tracked(sums, steps, scored, reason)


def track_all_clips(env: TrackingEnv, policy: Policy, progress: Optional[Progress] = None) -> Tracked:
    """Tracks all M clips of the environment's dataset, in waves of similar length.

    Returns:
        M rows in the order of the dataset.
    """
    lengths = env.library.lengths
    tracked, done = [], 0
    order = waves(lengths, env.num_envs)
    for ids in order:
        tracked.append(track_clips(env, policy, ids, _within(progress, done, len(lengths))))
        done += len(ids)
        if progress is not None:
            progress(done, len(lengths))
    place = torch.argsort(torch.cat(order))  # of each clip among those of all waves
    names = [field.name for field in dataclasses.fields(Tracked)]
    return Tracked(*(torch.cat([getattr(wave, name) for wave in tracked])[place] for name in names))


def _within(progress: Optional[Progress], done: int, total: int) -> Callable[[int], None]:
    def report(ended: int) -> None:
        if progress is not None:
            progress(done + ended, total)

    return report
