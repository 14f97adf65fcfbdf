"""Rollout storage, allocated once: T steps of N environments. Observations are kept once, normalised."""

from __future__ import annotations

from typing import Callable, Dict

import torch
from torch import Tensor

from parc_core.learning.agent import Agent
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.returns import NULL, TIME


class Rollout:
    """T × N samples of one iteration.

    `norm_obs[t]` is what the policy saw at step t. The next observation is `norm_obs[t + 1]` except where
    an episode ended; there (and after the last step) only its value is needed and kept in `end_values`.
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
        obs_dtype: of the stored observations; bfloat16 where the networks take no more.
        std_per_sample: the policy's standard deviation depends on the observation.
        """
        self.norm_obs = torch.zeros(steps, num_envs, obs_dim, dtype=obs_dtype, device=device)
        self.norm_actions = torch.zeros(steps, num_envs, action_dim, device=device)
        self.norm_means = torch.zeros(steps, num_envs, action_dim, device=device)
        self.logstd = torch.zeros(
            (steps, num_envs, action_dim) if std_per_sample else (action_dim,), device=device
        )
        self.log_probs = torch.zeros(steps, num_envs, device=device)
        self.explored = torch.zeros(steps, num_envs, dtype=torch.bool, device=device)
        self.rewards = torch.zeros(steps, num_envs, device=device)
        self.dones = torch.zeros(steps, num_envs, dtype=torch.int64, device=device)
        self.end_values = torch.zeros(steps, num_envs, device=device)

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
        return torch.where(self.dones == NULL, following, self.end_values)

    def flat(self) -> Dict[str, Tensor]:
        """Views with T and N merged, for minibatches; `old_logstd` is (D,) where all samples share it."""
        return {
            "norm_obs": self.norm_obs.flatten(0, 1),
            "norm_action": self.norm_actions.flatten(0, 1),
            "old_mean": self.norm_means.flatten(0, 1),
            "old_logstd": self.logstd.flatten(0, 1) if self.logstd.dim() == 3 else self.logstd,
            "a_logp": self.log_probs.flatten(),
            "explored": self.explored.flatten(),
        }


@torch.no_grad()
def collect(
    env,
    agent: Agent,
    obs: Tensor,
    rollout: Rollout,
    explore_prob: float,
    generator: torch.Generator,
    record_obs: bool,
    beat: Callable[[], None],
) -> Tensor:
    """Fills the rollout from `obs` (N, O) on and returns the observation to go on from.

    On a GPU nothing in here waits for it.

    Args:
        explore_prob: probability that an environment samples its action instead of taking the mode.
        record_obs: let the normalizer see the observations (its mean and std change after the update).
        beat: called every step; writes a heartbeat when one is due.
    """
    rollout.explored.bernoulli_(explore_prob, generator=generator)
    # The noise of all steps, where the actions will be: none where the mode is taken.
    rollout.norm_actions.normal_(generator=generator).mul_(rollout.explored.unsqueeze(-1))
    for t in range(rollout.steps):
        if record_obs:
            agent.obs_norm.record(obs)
        _act(agent, obs, rollout, t)
        next_obs, rollout.rewards[t], rollout.dones[t], _ = env.step(
            agent.unnormalize_action(rollout.norm_actions[t])
        )
        _keep_end_values(agent, next_obs, rollout, t, getattr(env, "can_time_out", True))
        obs = env.reset_done()  # may overwrite next_obs
        beat()
    rollout.log_probs.copy_(DiagGaussian(rollout.norm_means, rollout.logstd).log_prob(rollout.norm_actions))
    return obs


def _act(agent: Agent, obs: Tensor, rollout: Rollout, t: int) -> None:
    """Step t's normalised observation, distribution and action: mean + std · noise."""
    dist = agent.model.actor(agent.normalize_obs(obs, out=rollout.norm_obs[t]))
    rollout.norm_means[t] = dist.mean
    if rollout.logstd.dim() == 3:
        rollout.logstd[t] = dist.logstd
    elif t == 0:
        rollout.logstd.copy_(dist.logstd)
    rollout.norm_actions[t].mul_(dist.std).add_(dist.mean)


def _keep_end_values(agent: Agent, next_obs: Tensor, rollout: Rollout, t: int, can_time_out: bool) -> None:
    """Values of the next observations that norm_obs[t + 1] does not hold; FAIL and SUCC need none."""
    last = t == rollout.steps - 1
    if not (last or can_time_out):
        return
    if last or next_obs.is_cuda:  # picking the few would have the host wait for the GPU
        rollout.end_values[t] = agent.values(_stored(agent, next_obs, rollout))
        return
    ids = (rollout.dones[t] == TIME).nonzero().squeeze(-1)
    if ids.numel():
        rollout.end_values[t, ids] = agent.values(_stored(agent, next_obs[ids], rollout))


def _stored(agent: Agent, obs: Tensor, rollout: Rollout) -> Tensor:
    """Normalised and rounded as the rollout's observations are."""
    return agent.normalize_obs(obs).to(rollout.norm_obs.dtype)
