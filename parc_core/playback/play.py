"""The loop that plays clips under a policy: evaluation, video tracks and whatever else watches one fold its steps."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional

import torch
from torch import Tensor

from parc_core.engines.engine import EngineState
from parc_core.envs.terminations import TIME_EPS, FailReason
from parc_core.envs.tracking_env import TrackingEnv

Policy = Callable[[Tensor], Tensor]
"""(N, obs_dim) observations -> (N, D) actions in the environment's units."""

_SYNC_INTERVAL = 30  # steps between two counts of the clips that have ended: each count waits for the device


@dataclass(frozen=True)
class Step:
    """n clips after a control step, on the environment's device."""

    index: int
    """Control steps since the start; 0 is the start itself."""
    state: EngineState
    """(n, ...) views of the engine's state: clone what must outlive the next step."""
    obs: Tensor
    """(n, obs_dim) observation of that state, valid until the next step as well."""
    reward: Tensor
    """(n,) of this step; 0 at the start."""
    alive: Tensor
    """(n,) bool: the clip had not ended before this step, which therefore belongs to it."""
    reason: Tensor
    """(n,) int64 `FailReason`, the first one of each clip: NONE while it is followed, MOTION_END once it was
    followed to its end. Stays as it is after the clip's end."""
    time: Tensor
    """(n,) s in the clip; looping clips count on beyond their length."""
    ended: Optional[int]
    """Number of clips whose last step this or an earlier one was; known at every `_SYNC_INTERVAL`-th step only."""


@torch.no_grad()
def play(
    env: TrackingEnv,
    policy: Policy,
    ids: Tensor,
    *,
    times: Optional[Tensor] = None,
    until: Optional[Tensor] = None,
    tail_s: float = 0.0,
) -> Iterator[Step]:
    """Plays clips side by side, one per environment, and yields their start and every control step.

    A clip ends where the environment reports a failure (after `tail_s` more seconds), at its own end or at `until`.
    `episode_length` does not count, for nothing is reset on the way. The environment keeps simulating clips that have
    ended: use `Step.alive`. Steps are yielded until a count finds that all have ended, or none can go on.

    Args:
        env: its episodes are given up. Between two steps its methods say more, `tracking_error` for example.
        policy: observations -> actions.
        ids: (n,) int64 motions, 1 <= n <= N; see `waves` for more.
        times: (n,) s, where each clip starts; default: its first frame.
        until: (n,) s, clip time at which each ends at the latest; default: its length. Only looping clips can go
            on beyond their length.
        tail_s: how much longer a clip is played after its failure, but never beyond its end.

    Raises:
        ValueError: no clips, or more than environments.
    """
    n = len(ids)
    if not 0 < n <= env.num_envs:
        raise ValueError(f"1 to {env.num_envs} clips can be played at a time, not {n}")
    start = torch.zeros(n, device=env.device) if times is None else times.to(env.device)
    end = _end_times(env, ids, until)
    obs = env.reset_to(_padded(ids, env.num_envs), _padded(start, env.num_envs))
    alive = torch.ones(n, dtype=torch.bool, device=env.device)
    reason, lost_for = (torch.zeros(n, dtype=torch.long, device=env.device) for _ in range(2))
    yield Step(0, _first(env.engine.state, n), obs[:n], torch.zeros_like(start), alive, reason, start, None)
    tail = round(tail_s / env.control_dt)
    for index in range(1, math.ceil(float((end - start).max()) / env.control_dt) + 2):
        obs, reward, _, _ = env.step(policy(obs))
        time = env.motion_times[:n]
        reason = _first_reason(reason, env.fail_reason[:n], time >= end)
        lost = (reason != FailReason.NONE) & (reason != FailReason.MOTION_END)
        lost_for = lost_for + lost
        going = alive & (time < end) & ((reason == FailReason.NONE) | (lost & (lost_for <= tail)))
        ended = n - int(going.sum()) if index % _SYNC_INTERVAL == 0 else None
        yield Step(index, _first(env.engine.state, n), obs[:n], reward[:n], alive, reason, time, ended)
        if ended == n:
            return
        alive = going


def waves(lengths: Tensor, size: int) -> List[Tensor]:
    """Splits clips into waves to be played one after the other.

    Clips of similar length share a wave, so that few environments wait for the others.

    Args:
        lengths: (n,) s.
        size: most clips in a wave: the number of environments.

    Returns:
        places in `lengths`, each in exactly one wave, (size,) int64 each but for the last.
    """
    return list(torch.sort(lengths, stable=True).indices.split(size))


def _end_times(env: TrackingEnv, ids: Tensor, until: Optional[Tensor]) -> Tensor:
    """(n,) s: from this clip time on a clip has ended. A looping clip has no end of its own: one loop by default."""
    lengths = env.library.lengths[ids]
    if until is not None:
        until = until.to(lengths)
        lengths = torch.where(env.library.loop_wrap[ids], until, torch.minimum(until, lengths))
    return lengths - TIME_EPS


def _padded(values: Tensor, num_envs: int) -> Tensor:
    """(n,) -> (N,): environments without a clip of their own repeat the first; nobody reads them."""
    return torch.cat((values, values[:1].expand(num_envs - len(values))))


def _first(state: EngineState, n: int) -> EngineState:
    """Views of the first n rows."""
    return EngineState(**{field.name: getattr(state, field.name)[:n] for field in dataclasses.fields(state)})


def _first_reason(reason: Tensor, found: Tensor, over: Tensor) -> Tensor:
    """(n,): the reason so far, else the one of this step; reaching the end is one where nothing failed."""
    none = int(FailReason.NONE)
    found = torch.where(over & (found == none), torch.full_like(found, FailReason.MOTION_END), found)
    return torch.where(reason == none, found, reason)
