"""A learner with a rollout of random numbers, and an environment that does nothing: the learner without physics."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.ppo import PPO
from parc_core.system.world import ONE_PROCESS, World


class IdleEnv:
    """A `VecEnv` of random observations, written in place as an environment on a GPU does; no episode ends."""

    can_time_out = False
    reward_low, reward_high = 0.0, 1.0

    def __init__(self, num_envs: int, obs_dim: int, action_dim: int, device: torch.device) -> None:
        self.num_envs, self.obs_dim, self.action_dim, self.device = num_envs, obs_dim, action_dim, device
        self.action_low = torch.full((action_dim,), -1.0, device=device)
        self.action_high = torch.full((action_dim,), 1.0, device=device)
        self.obs_norm_mask = torch.ones(obs_dim, dtype=torch.bool)
        self.obs_height_mask = torch.zeros(obs_dim, dtype=torch.bool)
        self.fail_rates = torch.ones(1, device=device)
        self.critic_dim, self.critic_obs = 0, torch.zeros(num_envs, 0, device=device)
        self._obs = torch.randn(num_envs, obs_dim, device=device)
        self._reward = torch.rand(num_envs, device=device)
        self._done = torch.zeros(num_envs, dtype=torch.int64, device=device)

    def reset(self) -> Tensor:
        """Obs (N, obs_dim)."""
        return self._obs

    def reset_to(self, motion_ids: Tensor, times: Tensor) -> Tensor:
        """Obs (N, obs_dim), the same for every motion."""
        return self._obs

    def step(self, action: Tensor) -> Tuple[Tensor, Tensor, Tensor, Dict[str, Any]]:
        """Obs, reward (N,), done (N,) and nothing else, always the same."""
        return self._obs, self._reward, self._done, {}

    def reset_done(self) -> Tensor:
        """Obs (N, obs_dim)."""
        return self._obs

    def begin_iteration(self, samples: int) -> Dict[str, float]:
        """Nothing changes in the course of a training."""
        return {}

    def end_iteration(self, world: World) -> None:
        """No episode ended."""

    def episode_stats(self, world: World = ONE_PROCESS) -> Dict[str, float]:
        """No episode ended."""
        return {"Episodes": 0.0}

    def state_dict(self) -> Dict[str, Any]:
        """Nothing changes."""
        return {}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Nothing changes."""

    def load_fail_rates(self, state: Dict[str, Any]) -> None:
        """There are none."""


@torch.no_grad()
def make_case(config: AgentConfig, env: IdleEnv, use_graph: bool = True, seed: int = 0) -> PPO:
    """The same learner with the same rollout for the same seed, as if its agent had made it."""
    torch.manual_seed(seed)
    ppo = PPO(env, config, seed=1, max_samples=10**12, use_graph=use_graph)
    ppo.collect(env.reset(), 0, record_obs=False)  # allocates, and starts the clock
    ppo.reseed(1)
    rollout, actor = ppo.rollout, ppo.agent.model.actor
    rollout.norm_obs.normal_()
    for t in range(rollout.steps):
        dist = actor(rollout.norm_obs[t])
        rollout.norm_means[t] = dist.mean
        (rollout.logstd[t] if rollout.std_per_sample else rollout.logstd).copy_(dist.logstd)
        rollout.norm_actions[t] = dist.sample()
    rollout.log_probs.copy_(DiagGaussian(rollout.norm_means, rollout.logstd).log_prob(rollout.norm_actions))
    rollout.explored.fill_(True)
    rollout.rewards.uniform_()
    rollout.end_values.zero_()
    rollout.dones.copy_((torch.rand(rollout.steps, env.num_envs, device=env.device) < 0.01).long())
    return ppo
