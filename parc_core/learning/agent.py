"""The agent: observation and action normalizers around the actor-critic; its state_dict is model.pt."""

from __future__ import annotations

from typing import Dict, Optional

import torch
from torch import Tensor, nn

from parc_core.config.agent_config import ModelConfig
from parc_core.envs.vec_env import VecEnv
from parc_core.learning.networks import ActorCritic, hidden_sizes
from parc_core.learning.normalizer import Normalizer
from parc_core.learning.towers import LayerKind


class Agent(nn.Module):
    """Policy and value function with PARC's flat parameter names (`_obs_norm.*`, `_a_norm.*`, `_model.*`)."""

    def __init__(self, model: ActorCritic, obs_norm: Normalizer, a_norm: Normalizer) -> None:
        super().__init__()
        self._obs_norm = obs_norm
        self._a_norm = a_norm
        self._model = model

    @property
    def obs_norm(self) -> Normalizer:
        """Normalizer of observations; its first `normalizer_samples` samples shape it."""
        return self._obs_norm

    @property
    def model(self) -> ActorCritic:
        """The two networks, over normalized observations."""
        return self._model

    def with_model(self, model: ActorCritic) -> Agent:
        """An agent of other networks with the same normalizers."""
        return Agent(model, self._obs_norm, self._a_norm)

    def normalize_obs(self, obs: Tensor, out: Optional[Tensor] = None) -> Tensor:
        """(..., O) raw → (..., O) normalized and clipped."""
        return self._obs_norm.normalize(obs, out=out)

    def unnormalize_action(self, norm_action: Tensor) -> Tensor:
        """(..., D) in ±1 of the bounds → (..., D) in the environment's units."""
        return self._a_norm.unnormalize(norm_action)

    @torch.no_grad()
    def act_mode(self, obs: Tensor) -> Tensor:
        """(N, O) raw observations → (N, D) the deterministic action in the environment's units."""
        return self.unnormalize_action(self._model.actor(self.normalize_obs(obs)).mode)

    @torch.no_grad()
    def act_sampled(self, obs: Tensor) -> Tensor:
        """(N, O) raw observations → (N, D) an action with exploration noise, in the environment's units."""
        return self.unnormalize_action(self._model.actor(self.normalize_obs(obs)).sample())

    @torch.no_grad()
    def values(self, norm_obs: Tensor, chunk: int = 16384) -> Tensor:
        """(B, O + P) normalized → (B,), in chunks that bound the memory of the hidden layers."""
        return torch.cat([self._model.critic(part) for part in norm_obs.split(chunk)])

    def model_state(self) -> Dict[str, Tensor]:
        """The flat state_dict of model.pt, on the CPU."""
        return {key: value.detach().cpu().clone() for key, value in self.state_dict().items()}


def make_networks(obs_dim: int, action_dim: int, config: ModelConfig, critic_dim: int = 0) -> ActorCritic:
    """New networks as the config has them; the critic sees `critic_dim` numbers beside the observation."""
    return ActorCritic(
        obs_dim,
        action_dim,
        hidden_sizes(config.actor_net),
        hidden_sizes(config.critic_net),
        std_type=config.actor_std_type,
        std=config.action_std,
        output_scale=config.actor_init_output_scale,
        kind=LayerKind(config.activation, config.layer_norm),
        critic_dim=critic_dim,
    )


def make_agent(
    env: VecEnv, model_config: ModelConfig, norm_obs_clip: float, center_heights: bool = False
) -> Agent:
    """Agent for an environment's sizes, bounds and normalized dimensions, on its device.

    Args:
        center_heights: the normalizer subtracts the mean of the observed terrain heights.
    """
    model = make_networks(env.obs_dim, env.action_dim, model_config, env.critic_dim)
    a_norm = Normalizer(env.action_dim)
    low, high = env.action_low.cpu(), env.action_high.cpu()
    a_norm.set_mean_std(0.5 * (high + low), 0.5 * (high - low))
    heights = env.obs_height_mask if center_heights else None
    obs_norm = Normalizer(env.obs_dim, norm_obs_clip, env.obs_norm_mask, center_mask=heights)
    return Agent(model, obs_norm, a_norm).to(env.device)
