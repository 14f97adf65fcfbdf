"""Diagonal Gaussian over normalized actions."""

from __future__ import annotations

import math
from typing import Optional

import torch
from torch import Tensor

LOG_2PI = math.log(2.0 * math.pi)


class DiagGaussian:
    """N(mean, diag(exp(logstd))²) with mean (..., D); densities are summed over D.

    logstd is (..., D) or (D,); the latter is not expanded, for what depends on it alone is then computed once.
    """

    def __init__(self, mean: Tensor, logstd: Tensor) -> None:
        self.mean = mean
        self.logstd = logstd

    @property
    def mode(self) -> Tensor:
        """(..., D): the mean."""
        return self.mean

    @property
    def std(self) -> Tensor:
        """(..., D)."""
        return self.logstd.exp().expand_as(self.mean)

    def sample(self, generator: Optional[torch.Generator] = None) -> Tensor:
        """(..., D), drawn from `generator`."""
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + self.std * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """(...,): −½ Σ((x − μ)/σ)² − Σ log σ − ½ D log 2π."""
        z = (x - self.mean) / self.std
        at_mean = -self.logstd.sum(-1) - 0.5 * self.mean.shape[-1] * LOG_2PI
        return torch.add(at_mean, z.square().sum(-1), alpha=-0.5)

    def entropy(self) -> Tensor:
        """(...,): Σ log σ + ½ D (1 + log 2π)."""
        entropy = self.logstd.sum(-1) + 0.5 * self.mean.shape[-1] * (1.0 + LOG_2PI)
        return entropy.expand(self.mean.shape[:-1])

    def kl(self, other: DiagGaussian) -> Tensor:
        """(...,): KL(self ‖ other)."""
        log_ratio = self.logstd - other.logstd
        of_stds = (0.5 * ((2.0 * log_ratio).exp() - 1.0) - log_ratio).sum(-1)
        shift = ((self.mean - other.mean) / other.std).square().sum(-1)
        return torch.add(of_stds, shift, alpha=0.5)

    def param_reg(self) -> Tensor:
        """(...,): Σ μ²; the std has the entropy term for its own."""
        return self.mean.square().sum(-1)

    def bound_violation(self) -> Tensor:
        """(...,): Σ of the squares by which the mode leaves [−1, 1]."""
        return (self.mean.abs() - 1.0).clamp_min(0.0).square().sum(-1)
