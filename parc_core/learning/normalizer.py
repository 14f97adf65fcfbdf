"""Running mean and standard deviation of observations and actions.

The reference sums x and x² in float32, which cancels when |mean| is much larger than the std.
Here the moments are merged batch by batch in float64 (Chan, Golub and LeVeque 1979).
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple, Union

import torch
from torch import Tensor, nn

from parc_core.system.world import ONE_PROCESS, World

MIN_STD = 1e-4


class Normalizer(nn.Module):
    """y = (x − mean) / std, clamped to ±clip; un-normalized dimensions keep mean 0 and std 1.

    `_count`, `_mean` and `_std` are what model files hold. The float64 moments stay out of the
    state_dict (PARC's layout has none); checkpoints save them through `moments()`.
    """

    _count: Tensor
    _mean: Tensor
    _std: Tensor
    _fixed: Tensor
    _no_mean: Tensor

    def __init__(
        self,
        dim: int,
        clip: float = float("inf"),
        norm_mask: Optional[Tensor] = None,
        min_std: float = MIN_STD,
        center_mask: Optional[Tensor] = None,
    ) -> None:
        """Args:
        dim: width of x.
        clip: bound of |y|; infinity for none.
        norm_mask: (dim,) bool, True where x is normalized; None = everywhere.
        min_std: floor of the standard deviation.
        center_mask: (dim,) bool, True where only the mean is subtracted; None = nowhere.
        """
        super().__init__()
        self.clip = float(clip)
        self.min_std = float(min_std)
        self.register_buffer("_count", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("_mean", torch.zeros(dim))
        self.register_buffer("_std", torch.ones(dim))
        mask = torch.ones(dim, dtype=torch.bool) if norm_mask is None else norm_mask.detach().bool().cpu()
        self.register_buffer("_fixed", ~mask, persistent=False)
        centered = torch.zeros_like(mask) if center_mask is None else center_mask.detach().bool().cpu()
        self.register_buffer("_no_mean", ~mask & ~centered, persistent=False)
        self._all, self._new = Moments(dim), Moments(dim)  # of all iterations before, and of this one

    @property
    def count(self) -> int:
        """Samples behind the current mean and std."""
        return int(self._count.item())

    @torch.no_grad()
    def record(self, x: Tensor) -> None:
        """Adds a batch x (..., dim) to this iteration's moments; mean and std change only at `update()`."""
        x = x.reshape(-1, x.shape[-1])
        n = x.shape[0]
        if n == 0:
            return
        # About a point near the mean float32 loses nothing, and reading it costs a GPU half of float64.
        new = self._new
        known = new if new.count > 0 else self._all
        shift = known.mean.to(x.dtype) if known.count > 0 else x[0]
        shifted = x - shift
        batch_mean = shifted.sum(0, dtype=torch.float64) / n
        batch_m2 = shifted.square_().sum(0, dtype=torch.float64) - n * batch_mean.square()
        new.merge(n, batch_mean + shift.double(), batch_m2.clamp_min(0.0))

    @torch.no_grad()
    def update(self, world: World = ONE_PROCESS) -> None:
        """Takes mean and std (population, at least min_std) over from all samples recorded in all processes.

        All processes must call it, after as many samples each.
        """
        new = self._new
        if new.count > 0:
            self._all.merge(*_over_the_world(new, world))
            new.clear()
        n = self._all.count
        if n == 0:
            return
        mean, std = self._all.mean, (self._all.m2 / n).sqrt().clamp_min(self.min_std)
        self._count.fill_(n)
        self._mean.copy_(torch.where(self._no_mean, torch.zeros_like(mean), mean))
        self._std.copy_(torch.where(self._fixed, torch.ones_like(std), std))

    def moments_finite(self) -> Tensor:
        """() bool on the device: False once a non-finite sample was recorded."""
        moments = (self._all.mean, self._all.m2, self._new.mean, self._new.m2)
        return torch.stack([torch.isfinite(each).all() for each in moments]).all()

    def normalize(self, x: Tensor, out: Optional[Tensor] = None) -> Tensor:
        """(..., dim) → (..., dim), clamped to ±clip; `out` takes the result, rounded to its type."""
        y = x - self._mean
        y = y.div_(self._std) if out is None else torch.div(y, self._std, out=out)
        return y.clamp_(-self.clip, self.clip) if self.clip != float("inf") else y

    def unnormalize(self, y: Tensor) -> Tensor:
        """(..., dim) → (..., dim): y · std + mean."""
        return y * self._std + self._mean

    @torch.no_grad()
    def set_mean_std(self, mean: Tensor, std: Tensor) -> None:
        """Fixes mean and std (dim,), for the actions' bounds."""
        self._mean.copy_(mean)
        self._std.copy_(std)

    def moments(self) -> Dict[str, Union[int, Tensor]]:
        """The float64 moments behind mean and std, for a checkpoint."""
        return {"count": self._all.count, "mean": self._all.mean.clone(), "m2": self._all.m2.clone()}

    @torch.no_grad()
    def load_moments(self, moments: Dict[str, Any]) -> None:
        """Restores what `moments()` returned; what an unfinished iteration recorded is dropped."""
        self._new.clear()
        self._all.count = int(moments["count"])
        self._all.mean.copy_(moments["mean"])
        self._all.m2.copy_(moments["m2"])

    @torch.no_grad()
    def moments_from_stats(self) -> None:
        """Rebuilds the moments from count, mean and std, for a model file that has only these."""
        self.load_moments(
            {
                "count": self.count,
                "mean": self._mean.double(),
                "m2": self._std.double().square() * self.count,
            }
        )


class Moments(nn.Module):
    """Count, mean and sum of squared deviations of samples, in float64; no part of a state_dict."""

    mean: Tensor
    m2: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.count = 0  # on the host: reading it must not wait for the device
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float64), persistent=False)
        self.register_buffer("m2", torch.zeros(dim, dtype=torch.float64), persistent=False)

    def merge(self, count: int, mean: Tensor, m2: Tensor) -> None:
        """Adds the moments of other samples (Chan, Golub and LeVeque 1979)."""
        total = self.count + count
        delta = mean - self.mean
        self.m2 += m2 + delta.square() * (self.count * count / total)
        self.mean += delta * (count / total)
        self.count = total

    def clear(self) -> None:
        """Back to no samples."""
        self.count = 0
        self.mean.zero_()
        self.m2.zero_()


def _over_the_world(moments: Moments, world: World) -> Tuple[int, Tensor, Tensor]:
    """Count, mean and m2 of the samples of all processes, which have as many each."""
    if world.size == 1:
        return moments.count, moments.mean, moments.m2
    mean = world.mean_(moments.mean.clone())
    m2 = world.sum_(moments.m2 + moments.count * (moments.mean - mean).square())
    return moments.count * world.size, mean, m2
