"""Lets a policy perform motions, one per environment, and keeps every frame of what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np
import torch
from torch import Tensor

from parc_core.envs.terminations import TIME_EPS, FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.playback.play import Policy, Step, play

END_STEPS = 2
"""A motion that is lost in its last two control steps counts as performed (PARC's rule: time >= length - 2 dt)."""
_CHUNK = 64  # steps kept on the device before they are copied to the host together


@dataclass(frozen=True)
class Frames:
    """n frames of the simulated character in its motion's own frame; the first is the start."""

    root_pos: np.ndarray
    """(n, 3) float32 m."""
    root_rot: np.ndarray
    """(n, 4) float32 xyzw, w >= 0."""
    joint_rot: np.ndarray
    """(n, J-1, 4) float32 xyzw, parent to child, w >= 0."""
    contacts: np.ndarray
    """(n, J) float32: 1 where the body touched in any physics step since the frame before, else 0."""
    obs: Optional[np.ndarray] = None
    """(n, O) float32 observation of each frame, where wanted."""


@dataclass(frozen=True)
class Attempt:
    """One try at one motion."""

    motion: int
    """Its place in the dataset."""
    start_fraction: float
    """Of the motion's length, where the try began."""
    succeeded: bool
    reason: str
    """Why it failed: a label of `FailReason`; "" for a success."""
    end_time_s: float
    """Time in the motion that was reached."""
    joint_error_m: float
    """Mean distance of all bodies from the reference over the steps."""
    frames: Optional[Frames]
    """Of a success."""


@torch.no_grad()
def perform(
    env: TrackingEnv, policy: Policy, ids: Tensor, start_fraction: float, observations: bool = False
) -> List[Attempt]:
    """Performs motions ids (n,) int64, n <= N, side by side, from a fraction of their lengths to their ends.

    Args:
        env: made with `env.all_touches`; its episodes are given up.
        policy: observations -> actions.
        start_fraction: 0 begins with the first frame. The time is not rounded to a frame.
        observations: keep them, too.

    Returns:
        n attempts, in the order of `ids`.

    Raises:
        ValueError: the environment's engine does not gather touches.
    """
    if env.engine.touched is None:
        raise ValueError("the environment needs all_touches")
    ids = ids.to(env.device)
    lengths = env.library.lengths[ids].float()
    start = start_fraction * lengths
    kept = _Kept(observations)
    steps = torch.zeros(len(ids), dtype=torch.long, device=env.device)
    errors = torch.zeros(len(ids), dtype=torch.float64, device=env.device)
    reason = torch.zeros_like(steps)
    for step in play(env, policy, ids, times=start):
        kept.add(env, step)
        if step.index > 0:
            steps += step.alive
            errors += torch.where(step.alive, env.joint_error()[: len(ids)].double(), 0.0)
        reason = step.reason
    end = start + steps * env.control_dt
    near_end = end >= lengths - END_STEPS * env.control_dt - TIME_EPS
    succeeded = (reason == FailReason.MOTION_END) | (near_end & (reason != FailReason.DIVERGED))
    arrays = kept.arrays()
    columns = zip(
        *(values.tolist() for values in (ids, succeeded, reason, end, steps, errors / steps.clamp(min=1)))
    )
    return [
        Attempt(
            motion=motion,
            start_fraction=start_fraction,
            succeeded=good,
            reason="" if good else FailReason(why).label,
            end_time_s=end_time,
            joint_error_m=error,
            frames=_frames(arrays, k, count + 1) if good else None,
        )
        for k, (motion, good, why, end_time, count, error) in enumerate(columns)
    ]


class _Kept:
    """All frames of all environments, on the host by and by."""

    def __init__(self, observations: bool) -> None:
        self._observations = observations
        self._recent: Dict[str, List[Tensor]] = {}
        self._parts: Dict[str, List[np.ndarray]] = {}

    def add(self, env: TrackingEnv, step: Step) -> None:
        state, n = step.state, len(step.alive)
        touched: Any = env.engine.touched
        now = {
            "root_pos": state.root_pos,
            "root_rot": state.root_rot,
            "joint_rot": state.joint_rot,
            # The forces of before the reset are none of the start's.
            "contacts": touched[:n].float() * float(step.index > 0),
        }
        if self._observations:
            now["obs"] = step.obs
        for name, value in now.items():
            self._recent.setdefault(name, []).append(value.clone())
        if len(self._recent["root_pos"]) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        for name, values in self._recent.items():
            self._parts.setdefault(name, []).append(torch.stack(values).cpu().numpy())
        self._recent = {}

    def arrays(self) -> Dict[str, np.ndarray]:
        """(T, n, ...) each."""
        self._flush()
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


def _frames(arrays: Dict[str, np.ndarray], k: int, count: int) -> Frames:
    """The first count frames of environment k."""
    own = {name: np.ascontiguousarray(part[:count, k], dtype=np.float32) for name, part in arrays.items()}
    for name in ("root_rot", "joint_rot"):
        own[name] = np.where(own[name][..., 3:] < 0.0, -own[name], own[name])
    return Frames(**own)
