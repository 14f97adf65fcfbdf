"""Which motion an episode tracks: more often those that fail (spec section 6)."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import torch
from torch import Tensor

from parc_core.errors import DataError
from parc_core.motion.library import MotionLibrary

RATE = 0.01  # share of one finished episode in the failure rate


class MotionSampler:
    """Draws motions with probability ∝ weight × max(fail_rate, min_weight) and start times uniform in the clip."""

    def __init__(
        self, library: MotionLibrary, min_weight: float, generator: torch.Generator, adaptive: bool
    ) -> None:
        self.library = library
        self.fail_rates = torch.ones_like(library.weights)
        """(M,) in [0, 1]; each starts at 1. Changed in place."""
        self._min_weight = min_weight
        self._generator = generator
        self._adaptive = adaptive

    def sample(self, n: int, random_time: bool) -> Tuple[Tensor, Tensor]:
        """n motion ids and start times, (n,) int64 and (n,) s."""
        weights = self.library.weights
        if self._adaptive:
            adapted = weights * self.fail_rates.clamp(min=self._min_weight)
            # With min_weight 0 every motion may have stopped failing.
            weights = torch.where(adapted.sum() > 0, adapted, weights)
        # Drawn by inversion: torch.multinomial is limited to 2²⁴ motions and slower for few.
        cumulative = weights.double().cumsum(0)
        u = torch.rand(n, generator=self._generator, device=weights.device, dtype=torch.float64)
        ids = torch.searchsorted(cumulative, u * cumulative[-1], right=True).clamp(max=len(weights) - 1)
        times = torch.zeros(n, device=weights.device)
        if random_time:
            uniform = torch.rand(n, generator=self._generator, device=weights.device)
            times = uniform * self.library.lengths[ids]
        return ids, times

    def record(self, motion_ids: Tensor, failed: Tensor, finished: Tensor) -> None:
        """Moves the failure rates by the finished ones of N episodes; (N,) int64, (N,) bool, (N,) bool.

        k episodes of one motion that end together, f of them failed, count as k with outcome f/k:
        rate ← rate · 0.99ᵏ + (1 − 0.99ᵏ) · f/k. `failed` counts only where `finished`.
        """
        episodes = torch.zeros_like(self.fail_rates)
        failures = torch.zeros_like(self.fail_rates)
        episodes.index_add_(0, motion_ids, finished.to(episodes.dtype))
        failures.index_add_(0, motion_ids, (failed & finished).to(failures.dtype))
        keep = (1.0 - RATE) ** episodes
        self.fail_rates.mul_(keep).add_((1.0 - keep) * failures / episodes.clamp(min=1.0))

    def quantiles(self, levels: List[float]) -> Dict[str, float]:
        """Failure rates at the given levels, for logs; one synchronisation."""
        values = torch.quantile(self.fail_rates, self.fail_rates.new_tensor(levels))
        return {f"Fail_Rate_Q{100 * level:g}": float(v) for level, v in zip(levels, values.tolist())}

    def state_dict(self) -> Dict[str, Any]:
        return {"fail_rates": self.fail_rates.clone()}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Raises DataError when the rates belong to another number of motions."""
        self.set_fail_rates(state["fail_rates"], "checkpoint")

    def set_fail_rates(self, rates: Tensor, where: str) -> None:
        """Starts from given failure rates (M,)."""
        if tuple(rates.shape) != tuple(self.fail_rates.shape):
            raise DataError(
                f"{where}: failure rates of {rates.numel()} motions, but the data set has "
                f"{self.fail_rates.numel()}; use those of the same data set"
            )
        self.fail_rates.copy_(rates)
