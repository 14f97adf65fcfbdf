"""Where in which motion an episode starts: more often shortly before the places where episodes fail."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import torch
from torch import Tensor

from parc_core.config.env_config import DeepMimicConfig
from parc_core.envs.sampling import RATE, MotionSampler
from parc_core.errors import DataError
from parc_core.motion.library import MotionLibrary
from parc_core.system.world import World

_AHEAD = (1.0, 0.8, 0.64)
"""What the failure rates of a bin and of those after it count in drawing the bin: the cause lies before the failure."""


def make_sampler(
    library: MotionLibrary, config: DeepMimicConfig, generator: torch.Generator
) -> MotionSampler:
    """The sampler that a config asks for: per motion, or over bins of time where sampling_bin_seconds is set."""
    if config.sampling_bin_seconds > 0 and not config.ignore_fail_rates:
        seconds, share = config.sampling_bin_seconds, config.sampling_uniform_share
        return BinSampler(
            library, config.min_motion_weight, generator, seconds, share, config.hard_motion_boost
        )
    adaptive = not config.ignore_fail_rates
    return MotionSampler(library, config.min_motion_weight, generator, adaptive, config.hard_motion_boost)


class BinSampler(MotionSampler):
    """Draws bins of time, n equal ones in each motion, and start times uniform in the bin.

    A bin's failure rate is the share of the episodes in it that failed there. Bins are drawn with probability
    ∝ weight / n × boost × max(rate, min_weight), the rate being a mean over the bin and the next ones of its motion,
    mixed with a share of ∝ weight / n. So equal rates give `MotionSampler`'s distribution with equal rates.

    The failure rates of motions are kept as well, for logs and for other samplers; they do not change the draws.
    """

    def __init__(
        self,
        library: MotionLibrary,
        min_weight: float,
        generator: torch.Generator,
        bin_seconds: float,
        uniform_share: float,
        max_boost: float = 1.0,
    ) -> None:
        """Args:
        bin_seconds: s; a motion has length / bin_seconds bins, rounded, and at least one.
        uniform_share: 0 to 1, of the draws that heed no failure rate.
        """
        super().__init__(library, min_weight, generator, adaptive=True, max_boost=max_boost)
        self._uniform_share = uniform_share
        self._num = (library.lengths / bin_seconds).round().long().clamp(min=1)  # (M,)
        self._first = self._num.cumsum(0) - self._num  # (M,)
        device = library.weights.device
        self._motion = torch.arange(len(self._num), device=device).repeat_interleave(self._num)  # (B,)
        number = len(self._motion)
        self.bin_rates = torch.ones(number, device=device)
        """(B,) in [0, 1], the motions' bins end to end; each starts at 1. Changed in place."""
        self.bin_counts = torch.zeros(2, number + 1, dtype=torch.int32, device=device)
        """(2, B + 1): by how much more ended episodes were in this bin than in the one before, since the last `apply`,
        and how many of them failed in it. Changed in place."""
        self._base = library.weights.double()[self._motion] / self._num[self._motion]
        self._base = self._base / self._base.sum()
        last = (self._first + self._num - 1)[self._motion]
        steps = torch.arange(len(_AHEAD), device=device)
        place = torch.arange(number, device=device)[:, None] + steps
        ahead = torch.tensor(_AHEAD, dtype=torch.float64, device=device) * (place <= last[:, None])
        self._ahead = torch.min(place, last[:, None])  # (B, K)
        self._ahead_weights = ahead / ahead.sum(1, keepdim=True)
        self._refresh()

    def probabilities(self) -> Tensor:
        """How often each bin is drawn, (B,) float64, sum 1."""
        rates = (self.bin_rates.double()[self._ahead] * self._ahead_weights).sum(1)
        adapted = self._base * self.boosts[self._motion] * rates.clamp(min=self._min_weight)
        total = adapted.sum()
        # With min_weight 0 every bin may have stopped failing.
        adapted = torch.where(total > 0, adapted / total, self._base)
        return (1.0 - self._uniform_share) * adapted + self._uniform_share * self._base

    def sample(self, n: int, random_time: bool) -> Tuple[Tensor, Tensor]:
        """n motion ids and start times, (n,) int64 and (n,) s."""
        device = self._cumulative.device
        u = torch.rand(n, generator=self._generator, device=device, dtype=torch.float64)
        bins = torch.searchsorted(self._cumulative, u * self._cumulative[-1], right=True)
        bins = bins.clamp(max=len(self._motion) - 1)
        ids = self._motion[bins]
        times = torch.zeros(n, device=device)
        if random_time:
            uniform = torch.rand(n, generator=self._generator, device=device)
            times = (bins - self._first[ids] + uniform) / self._num[ids] * self.library.lengths[ids]
        return ids, times

    def record_bins(
        self, motion_ids: Tensor, start_times: Tensor, times: Tensor, failed: Tensor, finished: Tensor
    ) -> None:
        """Counts the bins that the finished ones of N episodes were in, once for each loop, and where they failed.

        Args:
            motion_ids: (N,) int64.
            start_times, times: (N,) s, where the episodes started and where they are; may be beyond a loop's length.
            failed, finished: (N,) bool; `failed` counts only where `finished`.
        """
        first, num = self._first[motion_ids], self._num[motion_ids]
        start, start_loops = self._locate(motion_ids, start_times)
        end, end_loops = self._locate(motion_ids, times)
        one = finished.to(self.bin_counts.dtype)
        again = one * (end_loops - start_loops).to(one.dtype)
        visits, failures = self.bin_counts
        visits.index_add_(0, start, one)
        visits.index_add_(0, end + 1, -one)
        visits.index_add_(0, first, again)
        visits.index_add_(0, first + num, -again)
        failures.index_add_(0, end, one * failed.to(one.dtype))

    def apply(self, world: World) -> None:
        """Moves the rates of motions and of bins by all episodes counted in the world's processes; see
        `MotionSampler.apply`, with a bin's visits as its episodes. All processes must call it."""
        super().apply(world)
        changes, failures = world.sum_(self.bin_counts)[:, :-1]
        visits = changes.cumsum(0).to(self.bin_rates.dtype)
        keep = (1.0 - RATE) ** visits
        share = failures.to(self.bin_rates.dtype) / visits.clamp(min=1.0)
        self.bin_rates.mul_(keep).add_((1.0 - keep) * share)
        self.bin_counts.zero_()
        self._refresh()

    def heed_evaluation(self, played: Tensor, hard: Tensor) -> None:
        """See `MotionSampler.heed_evaluation`: all bins of a motion have its boost."""
        super().heed_evaluation(played, hard)
        self._refresh()

    def state_dict(self) -> Dict[str, Any]:
        own = {"bin_rates": self.bin_rates.clone(), "bin_counts": self.bin_counts.clone()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """The state of a sampler without bins gives each bin its motion's rate.

        Raises:
            DataError: the rates belong to other motions, or to bins of another length.
        """
        super().load_state_dict(state)
        self.bin_counts.zero_()
        self._refresh()
        if "bin_rates" not in state:
            return
        rates = state["bin_rates"]
        if tuple(rates.shape) != tuple(self.bin_rates.shape):
            raise DataError(
                f"checkpoint: failure rates of {rates.numel()} bins of time, but the dataset has "
                f"{self.bin_rates.numel()}; use the same dataset and env.dm.sampling_bin_seconds"
            )
        self.bin_rates.copy_(rates)
        self.bin_counts.copy_(state["bin_counts"])
        self._refresh()

    def set_fail_rates(self, rates: Tensor, where: str) -> None:
        """See `MotionSampler.set_fail_rates`; each bin starts from its motion's rate."""
        super().set_fail_rates(rates, where)
        self.bin_rates.copy_(self.fail_rates[self._motion])
        self._refresh()

    def _refresh(self) -> None:
        self._cumulative = self.probabilities().cumsum(0)

    def _locate(self, motion_ids: Tensor, times: Tensor) -> Tuple[Tensor, Tensor]:
        """Bin among all bins, and whole loops before it; (N,) int64 each."""
        cycles = times / self.library.lengths[motion_ids]
        loops = torch.where(self.library.loop_wrap[motion_ids], cycles.floor(), torch.zeros_like(cycles))
        num = self._num[motion_ids]
        inside = ((cycles - loops).clamp(0.0, 1.0) * num).long()
        return self._first[motion_ids] + torch.min(inside, num - 1), loops.long()
