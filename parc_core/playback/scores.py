"""How far a policy follows clips: rewards and errors of every clip, summed over its steps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Callable, Optional, Protocol

import torch
from torch import Tensor

from parc_core.envs.terminations import FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.tracking_error import NAMES as ERROR_NAMES
from parc_core.playback.play import Policy, Step, play, waves

Progress = Callable[[int, int], None]
"""Called with the number of clips done and of all clips, once per wave and every second or so within it."""

TO_THE_END_S = 1e6
"""`play`'s `tail_s` for clips that are played on to their ends, whatever was lost on the way."""

_SUMS = 2 + len(ERROR_NAMES)  # return, joint error, the seven tracking errors


class Observer(Protocol):
    """Looks at every step of some clips, also at those after a clip was lost."""

    def add(self, step: Step, tracked: Tensor) -> None:
        """A step of n clips, the start included; `tracked` (n,) bool: the clip was not lost before it.

        Nothing in it waits for the device.
        """


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
    times: Optional[Tensor] = None,
    observer: Optional[Observer] = None,
) -> Tracked:
    """Tracks clips ids (n,), n <= N, side by side to their ends.

    Args:
        env: its episodes are given up.
        policy: observations -> actions.
        report: called now and then with the number of clips that have ended.
        heartbeat: called every step.
        times: (n,) s, where each clip starts; default: its first frame.
        observer: sees every step; clips are then played on to their ends, which changes nothing in what is returned.
    """
    n = len(ids)
    sums = torch.zeros(n, _SUMS, dtype=torch.float64, device=env.device)
    steps, scored, reason = (torch.zeros(n, dtype=torch.long, device=env.device) for _ in range(3))
    tail_s = TO_THE_END_S if observer is not None else 0.0
    for step in play(env, policy, ids, times=times, tail_s=tail_s):
        tracked = step.alive & (reason == FailReason.NONE)
        reason = step.reason
        if observer is not None:
            observer.add(step, tracked)
        if step.index == 0:
            continue  # the start has no reward
        errors = torch.cat((env.joint_error()[:, None], env.tracking_error()), dim=1)[:n]
        now = torch.cat((step.reward[:, None], errors), dim=1).double()
        # A diverged simulation was put back to a rest pose, whose errors say nothing.
        valid = tracked & (step.reason != FailReason.DIVERGED)
        sums += torch.where(valid[:, None], now, torch.zeros_like(sums))
        steps += tracked
        scored += valid
        heartbeat()
        if step.ended is not None:
            report(step.ended)
    return Tracked(sums, steps, scored, reason)


def track_all_clips(
    env: TrackingEnv,
    policy: Policy,
    progress: Optional[Progress] = None,
    times: Optional[Tensor] = None,
    observe: Callable[[Tensor], Optional[Observer]] = lambda ids: None,
) -> Tracked:
    """Tracks all M clips of the environment's dataset, in waves of similar length.

    Args:
        times: (M,) s, where each clip starts; default: its first frame.
        observe: makes the observer of a wave's clips (n,) int64.

    Returns:
        M rows in the order of the dataset.
    """
    lengths = env.library.lengths
    tracked, done = [], 0
    order = waves(lengths if times is None else lengths - times.to(lengths), env.num_envs)
    for ids in order:
        report = _within(progress, done, len(lengths))
        starts = None if times is None else times[ids.to(times.device)]
        tracked.append(track_clips(env, policy, ids, report, times=starts, observer=observe(ids)))
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
