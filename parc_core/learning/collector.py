"""Collecting rollouts: an agent acts in the environments."""

from __future__ import annotations

from typing import Callable, Optional

import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig
from parc_core.envs.terminations import DoneFlag
from parc_core.envs.vec_env import VecEnv
from parc_core.learning.agent import Agent
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.precision import matmul_precision
from parc_core.learning.rollout import Rollout
from parc_core.learning.schedules import explore_probability
from parc_core.system.world import World


class Collector:
    """Fills a rollout again and again.

    Attributes:
        agent: what acts.
    """

    def __init__(
        self,
        env: VecEnv,
        config: AgentConfig,
        agent: Agent,
        rollout: Rollout,
        generator: torch.Generator,
        precision: str,
        heartbeat: Callable[[], None],
        world: World,
        end_obs: Optional[Tensor] = None,
    ) -> None:
        """Args:
        generator: of exploration.
        precision: of float32 products, see `matmul_precision`.
        heartbeat: called every control step.
        world: the training's processes.
        end_obs: (N, O + P) of the rollout's type, for what the networks see after the last step, whose value is then
            left to others; None = the agent's critic values it.
        """
        self.agent = agent
        self._env, self._config, self._rollout, self._generator = env, config, rollout, generator
        self._precision, self._heartbeat, self._world, self._end_obs = precision, heartbeat, world, end_obs

    @torch.no_grad()
    def collect(self, obs: Tensor, samples: int, record_obs: bool) -> Tensor:
        """Fills the rollout from `obs` (N, O) on; no host-device synchronization on a GPU.

        Args:
            samples: of the training so far, for the schedules.
            record_obs: let the normalizer see the observations; it changes at `agent.obs_norm.update(world)`.

        Returns:
            (N, O) the observation to continue from.
        """
        rollout, env, agent = self._rollout, self._env, self.agent
        with matmul_precision(self._precision):
            rollout.explored.bernoulli_(explore_probability(self._config, samples), generator=self._generator)
            # The noise of all steps, where the actions will be: none where the mode is taken.
            noise = rollout.norm_actions.normal_(generator=self._generator)
            noise.mul_(rollout.explored.unsqueeze(-1))
            for t in range(rollout.steps):
                if record_obs:
                    agent.obs_norm.record(obs)
                self._act(obs, t)
                action = agent.unnormalize_action(rollout.norm_actions[t])
                next_obs, rollout.rewards[t], rollout.dones[t], _ = env.step(action)
                self._keep_end_values(next_obs, t)
                obs = env.reset_done()  # may overwrite next_obs
                self._heartbeat()
            policy = DiagGaussian(rollout.norm_means, rollout.logstd)
            rollout.log_probs.copy_(policy.log_prob(rollout.norm_actions))
        env.end_iteration(self._world)
        return obs

    def _act(self, obs: Tensor, t: int) -> None:
        """Step t's normalized observation, distribution and action: mean + std · noise."""
        rollout = self._rollout
        dist = self.agent.model.actor(self._see(obs, out=rollout.norm_obs[t]))
        rollout.norm_means[t] = dist.mean
        if rollout.std_per_sample:
            rollout.logstd[t] = dist.logstd
        elif t == 0:
            rollout.logstd.copy_(dist.logstd)
        rollout.norm_actions[t].mul_(dist.std).add_(dist.mean)

    def _keep_end_values(self, next_obs: Tensor, t: int) -> None:
        """Values of the next observations that norm_obs[t + 1] does not hold; FAIL and SUCC need none."""
        rollout = self._rollout
        last = t == rollout.steps - 1
        if not (last or self._env.can_time_out):
            return
        if last and self._end_obs is not None:
            self._see(next_obs, out=self._end_obs)
            return
        if last or next_obs.is_cuda:  # picking the few would synchronize with the GPU
            rollout.end_values[t] = self._values_as_stored(next_obs, self._env.critic_obs)
            return
        ids = (rollout.dones[t] == DoneFlag.TIME).nonzero().squeeze(-1)
        if ids.numel():
            rollout.end_values[t, ids] = self._values_as_stored(next_obs[ids], self._env.critic_obs[ids])

    def _see(self, obs: Tensor, out: Tensor) -> Tensor:
        """Writes what the networks see of the states of `obs` (N, O) to out (N, O + P). Returns the policy's part."""
        width = self._env.obs_dim
        out[:, width:] = self._env.critic_obs
        return self.agent.normalize_obs(obs, out=out[:, :width])

    def _values_as_stored(self, obs: Tensor, critic_obs: Tensor) -> Tensor:
        """(B,) values of (B, O) raw observations and (B, P), normalized and rounded as the rollout's are."""
        seen = torch.cat((self.agent.normalize_obs(obs), critic_obs), dim=1)
        return self.agent.values(seen.to(self._rollout.norm_obs.dtype))
