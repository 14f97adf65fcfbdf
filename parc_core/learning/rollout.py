"""Rollout storage, allocated once: T steps of N environments. Observations are kept once, normalized."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

import torch
from torch import Tensor

from parc_core.envs.terminations import DoneFlag


class Batch(NamedTuple):
    """B samples to learn from, with O observations and D actions."""

    norm_obs: Tensor
    """(B, O + P) in the type that the networks take; the last P are the critic's alone."""
    norm_actions: Tensor
    """(B, D) in ±1 of the bounds."""
    norm_means: Tensor
    """(B, D) means of the policy that collected them."""
    log_probs: Tensor
    """(B,) of the actions under that policy."""
    explored: Tensor
    """(B,) bool: the action was sampled and not the mode."""
    advantages: Tensor
    """(B,) normalized."""
    targets: Tensor
    """(B,) returns that the critic learns."""
    logstd: Tensor
    """(B, D) of that policy, or (D,) where all samples share it."""


class Rollout:
    """T × N samples of one iteration.

    `norm_obs[t]` is what the policy saw at step t, and behind it what the critic alone sees. The next observation is
    `norm_obs[t + 1]` except where an episode ended; there (and after the last step) only its value is needed and kept
    in `end_values`.
    `advantages` and `targets` are filled in by the update.
    """

    def __init__(
        self,
        steps: int,
        num_envs: int,
        obs_dim: int,
        action_dim: int,
        device: torch.device,
        obs_dtype: torch.dtype = torch.float32,
        std_per_sample: bool = False,
    ) -> None:
        """Args:
        obs_dim: O + P.
        obs_dtype: of the stored observations; bfloat16 where the networks take no more.
        std_per_sample: the policy's standard deviation depends on the observation.
        """
        self.std_per_sample = std_per_sample
        self.norm_obs = torch.zeros(steps, num_envs, obs_dim, dtype=obs_dtype, device=device)
        self.norm_actions = torch.zeros(steps, num_envs, action_dim, device=device)
        self.norm_means = torch.zeros(steps, num_envs, action_dim, device=device)
        shape = (steps, num_envs, action_dim) if std_per_sample else (action_dim,)
        self.logstd = torch.zeros(shape, device=device)
        self.log_probs, self.rewards, self.end_values, self.advantages, self.targets = (
            torch.zeros(steps, num_envs, device=device) for _ in range(5)
        )
        self.explored = torch.zeros(steps, num_envs, dtype=torch.bool, device=device)
        self.dones = torch.zeros(steps, num_envs, dtype=torch.int64, device=device)

    def copy_(self, other: Rollout) -> None:
        """Takes over all samples of another one of the same sizes, in place."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                value.copy_(getattr(other, name))

    @property
    def steps(self) -> int:
        """T."""
        return self.norm_obs.shape[0]

    @property
    def num_samples(self) -> int:
        """T · N."""
        return self.norm_obs.shape[0] * self.norm_obs.shape[1]

    def next_values(self, values: Tensor) -> Tensor:
        """(T, N) values of the next observations, from the (T, N) values of the observations."""
        following = torch.cat([values[1:], self.end_values[-1:]])
        return torch.where(self.dones == DoneFlag.NULL, following, self.end_values)

    def all_samples(self) -> Batch:
        """Views of all T · N samples."""
        return Batch(
            norm_obs=self.norm_obs.flatten(0, 1),
            norm_actions=self.norm_actions.flatten(0, 1),
            norm_means=self.norm_means.flatten(0, 1),
            log_probs=self.log_probs.flatten(),
            explored=self.explored.flatten(),
            advantages=self.advantages.flatten(),
            targets=self.targets.flatten(),
            logstd=self.logstd.flatten(0, 1) if self.std_per_sample else self.logstd,
        )

    def empty_batch(self, size: int) -> Batch:
        """Memory for `gather`; what all samples share is the rollout's own."""
        return Batch(
            *(part.new_empty(size, *part.shape[1:]) if gathered else part for part, gathered in self._parts())
        )

    def gather(self, ids: Tensor, out: Batch) -> Batch:
        """The samples `ids` (B,), in the memory of `out` (at least B samples)."""
        return Batch(
            *(
                torch.index_select(part, 0, ids, out=memory[: len(ids)]) if gathered else part
                for (part, gathered), memory in zip(self._parts(), out)
            )
        )

    def explorers(self, minibatches: Sequence[Tensor]) -> Tensor:
        """(m,) how many samples of each of m minibatches explored; one holds its samples' ids."""
        explored = self.explored.flatten()
        return torch.stack([explored[ids].sum() for ids in minibatches]).float()

    def _parts(self) -> Tuple[Tuple[Tensor, bool], ...]:
        """Every part of all samples, and whether each sample has its own."""
        return tuple(
            (part, name != "logstd" or self.std_per_sample)
            for name, part in self.all_samples()._asdict().items()
        )
