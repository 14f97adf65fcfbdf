"""Which motion an episode tracks: more often those that fail (spec section 6)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from parc_core.errors import DataError
from parc_core.motion.library import MotionLibrary
from parc_core.system.world import World

_ROUNDING = 1e-3
"""By which a running mean of shares may pass 1."""

RATE = 0.01  # share of one finished episode in the failure rate


class MotionSampler:
    """Draws motions with probability ∝ weight × boost × max(fail_rate, min_weight) and start times uniform in the clip.

    Boosts are 1 but for motions that evaluations have found hard, see `heed_evaluation`.

    Episodes that end are counted, and once per iteration `apply` moves the failure rates by the counts. So the rates
    do not depend on the order of the episodes in an iteration, nor on the processes that they are spread over.
    """

    def __init__(
        self,
        library: MotionLibrary,
        min_weight: float,
        generator: torch.Generator,
        adaptive: bool,
        max_boost: float = 1.0,
    ) -> None:
        self.library = library
        self.fail_rates = torch.ones_like(library.weights)
        """(M,) in [0, 1]; each starts at 1. Changed in place."""
        self.counts = torch.zeros(2, len(library.weights), dtype=torch.int32, device=library.weights.device)
        """(2, M): episodes of each motion that ended since the last `apply`, and how many of them failed. Changed in
        place."""
        self.boosts = torch.ones_like(library.weights)
        """(M,) from 1 to the largest. Changed in place."""
        self._max_boost = max_boost
        self._min_weight = min_weight
        self._generator = generator
        self._adaptive = adaptive

    def sample(self, n: int, random_time: bool) -> Tuple[Tensor, Tensor]:
        """n motion ids and start times, (n,) int64 and (n,) s."""
        weights = self.library.weights
        if self._adaptive:
            adapted = weights * self.boosts * self.fail_rates.clamp(min=self._min_weight)
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
        """Counts the finished ones of N episodes; (N,) int64, (N,) bool, (N,) bool. `failed` counts only where
        `finished`."""
        for counts, happened in zip(self.counts, (finished, failed & finished)):
            counts.index_add_(0, motion_ids, happened.to(counts.dtype))

    def apply(self, world: World) -> None:
        """Moves the failure rates by all episodes counted in the world's processes, and starts counting anew.

        K episodes of a motion, F of them failed, count as K with outcome F/K:
        rate ← rate · 0.99ᴷ + (1 − 0.99ᴷ) · F/K. All processes must call it.
        """
        episodes, failures = world.sum_(self.counts).to(self.fail_rates.dtype)
        keep = (1.0 - RATE) ** episodes
        self.fail_rates.mul_(keep).add_((1.0 - keep) * failures / episodes.clamp(min=1.0))
        self.counts.zero_()

    def heed_evaluation(self, played: Tensor, hard: Tensor) -> None:
        """Doubles the boosts of motions that an evaluation found hard, up to the largest, and halves the others'.

        Episodes start anywhere and explore, evaluations start at the first frame and do not: a motion may seldom fail
        in training and still be lost, or be followed from afar.

        Args:
            played, hard: (M,) bool; what was not played stays as it is.
        """
        new = torch.where(hard, self.boosts * 2, self.boosts / 2).clamp(1.0, self._max_boost)
        self.boosts.copy_(torch.where(played, new, self.boosts))

    def quantiles(self, levels: List[float]) -> Dict[str, float]:
        """Failure rates at the given levels, for logs; one synchronization."""
        values = torch.quantile(self.fail_rates, self.fail_rates.new_tensor(levels))
        return {f"Fail_Rate_Q{100 * level:g}": float(v) for level, v in zip(levels, values.tolist())}

    def boosted(self) -> Dict[str, float]:
        """Share of the motions that are drawn more often for having been found hard, for logs; {} where none can be."""
        if self._max_boost <= 1.0:
            return {}
        return {"Boosted_Motions": float((self.boosts > 1.0).float().mean())}

    def state_dict(self) -> Dict[str, Any]:
        boosts = {"boosts": self.boosts.clone()} if self._max_boost > 1.0 else {}
        return {"fail_rates": self.fail_rates.clone(), "counts": self.counts.clone(), **boosts}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Raises DataError when the rates belong to another number of motions."""
        self.set_fail_rates(state["fail_rates"], "checkpoint")
        self._set_boosts(state.get("boosts"))
        if "counts" in state:
            self.counts.copy_(state["counts"])
        else:  # of a checkpoint from when every step moved the rates
            self.counts.zero_()

    def _set_boosts(self, boosts: Optional[Tensor]) -> None:
        self.boosts.fill_(1.0) if boosts is None else self.boosts.copy_(boosts.clamp(1.0, self._max_boost))

    def set_fail_rates(self, rates: Tensor, where: str) -> None:
        """Starts from given failure rates (M,), each from 0 to 1.

        Raises:
            DataError: of another number of motions, or one is no share; `where` names the source.
        """
        if tuple(rates.shape) != tuple(self.fail_rates.shape):
            raise DataError(
                f"{where}: failure rates of {rates.numel()} motions, but the dataset has "
                f"{self.fail_rates.numel()}; use those of the same dataset"
            )
        if rates.layout != torch.strided or rates.is_quantized or rates.is_complex():
            raise DataError(f"{where}: failure rates must be a plain tensor of real numbers")
        bad = ~((rates >= 0) & (rates <= 1 + _ROUNDING))  # so is NaN, of 0/0
        if bool(bad.any()):
            number = int(bad.nonzero()[0, 0])
            raise DataError(
                f"{where}: the failure rate of motion {number} is {float(rates[number]):g}, but must be a share from "
                "0 to 1; use another file"
            )
        self.fail_rates.copy_(rates)
