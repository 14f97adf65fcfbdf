"""Counts steps and episodes that ended, on the device: rows for the statistics, and endings of each motion.

The same as `EpisodeStats.add_terms` and `add`, and `MotionSampler.record`. Only whole numbers are counted by atomics,
whose order does not matter; returns and terms go into rows that are summed in a fixed order.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-untyped-def"

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from parc_core.engines.mujoco_warp.types import view
from parc_core.envs.episode_stats import FIRST_REASON, FIRST_TERM, NUM_TOTALS
from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.envs.warp.arrays import Episodes
from parc_core.envs.warp.tables import MODULE_OPTIONS

wp.set_module_options(MODULE_OPTIONS)

_NULL, _TIME = wp.constant(int(DoneFlag.NULL)), wp.constant(int(DoneFlag.TIME))
_MOTION_END = wp.constant(int(FailReason.MOTION_END))
_FIRST_REASON, _FIRST_TERM = wp.constant(FIRST_REASON), wp.constant(FIRST_TERM)
_ENV_STEPS = wp.constant(NUM_TOTALS - 1)


@wp.kernel
def _count_episodes(
    episodes: Episodes,
    rows: wp.array2d[wp.float64],
    ended: wp.array[wp.int32],
    failed: wp.array[wp.int32],
) -> None:
    env = wp.tid()
    for k in range(_FIRST_TERM):
        rows[env, k] = wp.float64(0.0)
    for k in range(_FIRST_TERM, _ENV_STEPS):
        rows[env, k] = wp.float64(episodes.terms[env, k - _FIRST_TERM])
    rows[env, _ENV_STEPS] = wp.float64(1.0)
    done = int(episodes.done[env])
    if done == _NULL:
        return
    timed_out = done == _TIME
    reason = 0
    if not timed_out:
        reason = int(episodes.fail_reason[env])
    rows[env, 0] = wp.float64(1.0)
    rows[env, 1] = wp.float64(episodes.returns[env])
    rows[env, 2] = wp.float64(episodes.steps[env])
    if timed_out or reason == _MOTION_END:
        rows[env, 3] = wp.float64(1.0)
    if timed_out:
        rows[env, 4] = wp.float64(1.0)
    rows[env, _FIRST_REASON + reason] = wp.float64(1.0)
    motion = int(episodes.motion_ids[env])
    wp.atomic_add(ended, motion, 1)
    if not timed_out and reason != _MOTION_END:
        wp.atomic_add(failed, motion, 1)


class EpisodeStatsKernel:
    """Counts a step and its ended episodes.

    Attributes:
        rows: (N, NUM_TOTALS) float64, what each environment adds to the statistics.
    """

    def __init__(self, episodes: Any, counts: Tensor) -> None:
        """Args:
        counts: (2, M) int32 of the sampler, see `MotionSampler.counts`; added to in place.
        """
        self._num_envs = episodes.done.shape[0]
        self.rows = torch.zeros(self._num_envs, NUM_TOTALS, dtype=torch.float64, device=counts.device)
        self._args = [episodes, view(self.rows), view(counts[0]), view(counts[1])]
        self._device = wp.device_from_torch(counts.device)

    def launch(self) -> None:
        """One Warp launch: fills `rows` and adds to the counts."""
        wp.launch(_count_episodes, self._num_envs, inputs=self._args, device=self._device)
