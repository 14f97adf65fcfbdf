"""Rollout storage, allocated once: T steps of N environments. Observations are kept once, normalised."""

from __future__ import annotations

from typing import Callable, Dict

import torch
from torch import Tensor

from parc_core.learning.agent import Agent
from parc_core.learning.returns import NULL, TIME


class Rollout:
    """T × N samples of one iteration.

    `norm_obs[t]` is what the policy saw at step t. The next observation is `norm_obs[t + 1]` except where
    an episode ended; there (and after the last step) only its value is needed and kept in `end_values`.
    """

    def __init__(
        self, steps: int, num_envs: int, obs_dim: int, action_dim: int, device: torch.device
    ) -> None:
        self.norm_obs = torch.zeros(steps, num_envs, obs_dim, device=device)
        self.norm_actions = torch.zeros(steps, num_envs, action_dim, device=device)
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
        """Views with T and N merged, for minibatches."""
        return {
            "norm_obs": self.norm_obs.flatten(0, 1),
            "norm_action": self.norm_actions.flatten(0, 1),
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

    Args:
        explore_prob: probability that an environment samples its action instead of taking the mode.
        record_obs: let the normalizer see the observations (its mean and std change after the update).
        beat: called every step; writes a heartbeat when one is due.
    """
    for t in range(rollout.steps):
        if record_obs:
            agent.obs_norm.record(obs)
        norm_obs = agent.normalize_obs(obs, out=rollout.norm_obs[t])
        dist = agent.model.actor(norm_obs)
        explored = rollout.explored[t].bernoulli_(explore_prob, generator=generator)
        norm_action = torch.where(explored.unsqueeze(-1), dist.sample(generator), dist.mode)
        rollout.norm_actions[t] = norm_action
        rollout.log_probs[t] = dist.log_prob(norm_action)
        obs, rollout.rewards[t], rollout.dones[t], _ = env.step(agent.unnormalize_action(norm_action))
        _keep_end_values(agent, obs, rollout, t)
        obs = env.reset_done()
        beat()
    return obs


def _keep_end_values(agent: Agent, next_obs: Tensor, rollout: Rollout, t: int) -> None:
    """Values of the next observations that norm_obs[t + 1] does not hold; FAIL and SUCC need none."""
    done = rollout.dones[t]
    wanted = (done == TIME) | (done == NULL) if t == rollout.steps - 1 else done == TIME
    ids = wanted.nonzero().squeeze(-1)
    if ids.numel():
        rollout.end_values[t, ids] = agent.values(agent.normalize_obs(next_obs[ids]))
