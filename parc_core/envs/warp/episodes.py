"""Books episodes that ended, on the device: rows for the statistics and the motions' failure rates.

The same as `EpisodeStats.add` and `MotionSampler.record`. Only whole numbers are counted by atomics, whose order does
not matter; returns go into rows that are summed in a fixed order.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc"

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from parc_core.engines.mujoco_warp.types import view
from parc_core.envs.episode_stats import NUM_TOTALS
from parc_core.envs.sampling import RATE
from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.envs.warp.arrays import Episodes
from parc_core.envs.warp.tables import MODULE_OPTIONS

wp.set_module_options(MODULE_OPTIONS)

_KEEP = wp.constant(1.0 - RATE)
_NULL, _TIME = wp.constant(int(DoneFlag.NULL)), wp.constant(int(DoneFlag.TIME))
_MOTION_END = wp.constant(int(FailReason.MOTION_END))
_NUM_TOTALS = wp.constant(NUM_TOTALS)
_FIRST_REASON = wp.constant(NUM_TOTALS - len(FailReason))


@wp.kernel
def _book(
    episodes: Episodes,
    rows: wp.array2d[wp.float64],
    ended: wp.array[wp.int32],
    failed: wp.array[wp.int32],
):
    env = wp.tid()
    for k in range(_NUM_TOTALS):
        rows[env, k] = wp.float64(0.0)
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


@wp.kernel
def _move_rates(rates: wp.array[wp.float32], ended: wp.array[wp.int32], failed: wp.array[wp.int32]):
    motion = wp.tid()
    count = ended[motion]
    if count > 0:
        keep = wp.pow(_KEEP, float(count))
        rates[motion] = rates[motion] * keep + (1.0 - keep) * float(failed[motion]) / float(count)
    ended[motion] = 0
    failed[motion] = 0


class BookStep:
    """Launches the booking of a step's ended episodes.

    Attributes:
        rows: (N, NUM_TOTALS) float64, what each environment adds to the statistics.
    """

    def __init__(self, episodes: Any, fail_rates: Tensor) -> None:
        n, motions, device = episodes.done.shape[0], len(fail_rates), fail_rates.device
        self.rows = torch.zeros(n, NUM_TOTALS, dtype=torch.float64, device=device)
        counts = [view(torch.zeros(motions, dtype=torch.int32, device=device)) for _ in range(2)]
        self._of_envs = (n, [episodes, view(self.rows), *counts])
        self._of_motions = (motions, [view(fail_rates), *counts])
        self._device = wp.device_from_torch(device)

    def launch(self) -> None:
        """Warp launches alone: fills `rows` and moves the failure rates."""
        for kernel, (threads, args) in ((_book, self._of_envs), (_move_rates, self._of_motions)):
            wp.launch(kernel, threads, inputs=args, device=self._device)
