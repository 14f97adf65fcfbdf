"""Running mean and standard deviation of observations and actions.

The reference sums x and x² in float32, which cancels when |mean| is much larger than the std.
Here the moments are merged batch by batch in float64 (Chan, Golub and LeVeque 1979).
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Union

import torch
from torch import Tensor, nn

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
    _m_mean: Tensor
    _m_m2: Tensor

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
        self._m_count = 0  # on the host: reading it must not wait for the device
        self.register_buffer("_m_mean", torch.zeros(dim, dtype=torch.float64), persistent=False)
        self.register_buffer("_m_m2", torch.zeros(dim, dtype=torch.float64), persistent=False)

    @property
    def count(self) -> int:
        """Samples behind the current mean and std."""
        return int(self._count.item())

    @torch.no_grad()
    def record(self, x: Tensor) -> None:
        """Merges a batch x (..., dim) into the moments; mean and std change only at `update()`."""
        x = x.reshape(-1, x.shape[-1])
        n_new, n_old = x.shape[0], self._m_count
        if n_new == 0:
            return
        # About a point near the mean float32 loses nothing, and reading it costs a GPU half of float64.
        shift = self._m_mean.to(x.dtype) if n_old > 0 else x[0]
        shifted = x - shift
        batch_mean = shifted.sum(0, dtype=torch.float64) / n_new
        batch_m2 = shifted.square_().sum(0, dtype=torch.float64) - n_new * batch_mean.square()
        total = n_old + n_new
        delta = batch_mean + (shift.double() - self._m_mean)
        self._m_m2 += batch_m2.clamp_min(0.0) + delta.square() * (n_old * n_new / total)
        self._m_mean += delta * (n_new / total)
        self._m_count = total

    @torch.no_grad()
    def update(self) -> None:
        """Takes mean and std (population, at least min_std) over from the moments."""
        n = self._m_count
        if n == 0:
            return
        std = (self._m_m2 / n).sqrt().clamp_min(self.min_std)
        self._count.fill_(n)
        self._mean.copy_(torch.where(self._no_mean, torch.zeros_like(self._m_mean), self._m_mean))
        self._std.copy_(torch.where(self._fixed, torch.ones_like(std), std))

    def moments_finite(self) -> Tensor:
        """() bool on the device: False once a non-finite sample was recorded."""
        return torch.isfinite(self._m_mean).all() & torch.isfinite(self._m_m2).all()

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
        """The float64 moments, for a checkpoint."""
        return {"count": self._m_count, "mean": self._m_mean.clone(), "m2": self._m_m2.clone()}

    @torch.no_grad()
    def load_moments(self, moments: Dict[str, Any]) -> None:
        """Restores what `moments()` returned."""
        self._m_count = int(moments["count"])
        self._m_mean.copy_(moments["mean"])
        self._m_m2.copy_(moments["m2"])

    @torch.no_grad()
    def moments_from_stats(self) -> None:
        """Rebuilds the moments from count, mean and std, for a model file that has only these."""
        self._m_count = self.count
        self._m_mean.copy_(self._mean.double())
        self._m_m2.copy_(self._std.double().square() * self._m_count)
