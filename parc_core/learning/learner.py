"""The learner: agent, rollout, optimizer and their schedules; one iteration is collect → update."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import check_architecture
from parc_core.learning.optimizers import load_optimizer_state, make_optimizer, optimizer_state
from parc_core.learning.precision import hidden_dtype, matmul_precision, resolve_precision
from parc_core.learning.returns import value_bounds
from parc_core.learning.rollout import Rollout, collect
from parc_core.learning.schedules import action_std, explore_probability, learning_rate
from parc_core.learning.stage_timer import StageClock
from parc_core.learning.update import Updater


class Learner:
    """PPO on a vectorised environment (interface: parc_core/envs/tracking_env.py).

    Attributes:
        agent: what is learned.
        rollout: the samples of the last iteration.
    """

    def __init__(self, env: Any, config: AgentConfig, seed: int, max_samples: int) -> None:
        """Args:
        seed: of exploration and minibatches; networks come from torch's global generator.
        max_samples: where a linear learning rate reaches 0.
        """
        self._env, self._config, self._max_samples = env, config, max_samples
        self._generator = torch.Generator(device=env.device).manual_seed(seed)
        self._precision = resolve_precision(config.matmul_precision, env.device)
        self.agent = make_agent(env, config.model, config.norm_obs_clip, config.center_heights)
        self.agent.model.dtype = hidden_dtype(self._precision)
        self.rollout = Rollout(
            config.steps_per_iter,
            env.num_envs,
            env.obs_dim,
            env.action_dim,
            env.device,
            obs_dtype=self.agent.model.dtype,
            std_per_sample=self.agent.model.head.depends_on_state,
        )
        self._optimizer = make_optimizer(self.agent.model, config.optimizer)
        bounds = value_bounds(env.reward_low, env.reward_high, config.discount, config.value_bounds)
        self._updater = Updater(self.agent, self._optimizer, self.rollout, bounds, config)
        self._clock = StageClock(env.device)

    def iterate(
        self, obs: Tensor, samples: int, record_obs: bool, beat: Callable[[], None]
    ) -> Tuple[Tensor, Dict[str, float]]:
        """One rollout and one update.

        Args:
            obs: (N, O) to go on from.
            samples: so far, for the schedules.
            record_obs: let the normalizer see the observations; it changes at `agent.obs_norm.update()`.
            beat: called every step and minibatch.

        Returns:
            The observation to go on from, and the numbers of `Updater.run` with collect_seconds, update_seconds and,
            where it changes, action_std.
        """
        schedule = self._schedule(samples)
        self._clock.start()
        explore = explore_probability(self._config, samples)
        with matmul_precision(self._precision):
            obs = collect(
                self._env, self.agent, obs, self.rollout, explore, self._generator, record_obs, beat
            )
            self._clock.mark()
            info = self._updater.run(self._generator, beat)
            self._clock.mark()
        info["collect_seconds"], info["update_seconds"] = self._clock.seconds()
        return obs, {**info, **schedule}

    def _schedule(self, samples: int) -> Dict[str, float]:
        """Sets what changes with the number of samples; returns its log entries."""
        rate = learning_rate(self._config.optimizer, samples, self._max_samples)
        if rate is not None:
            self._updater.rate.set(rate)
        std = action_std(self._config.model, samples)
        if std is None:
            return {}
        self.agent.model.head.set_std(std)
        return {"action_std": std}

    def reseed(self, seed: int) -> None:
        """Another path of exploration and minibatches."""
        self._generator.manual_seed(seed)

    def state(self) -> Dict[str, Any]:
        """For a checkpoint: tensors and plain containers."""
        return {
            "agent": dict(self.agent.state_dict()),
            "obs_moments": self.agent.obs_norm.moments(),
            "optimizer": optimizer_state(self._optimizer),
            "generator": self._generator.get_state(),
        }

    def load_state(self, state: Dict[str, Any], where: str) -> None:
        """Restores what `state` returned, on any device; exactly on one of the same kind.

        Raises:
            ConfigError: another architecture; `where` says whose.
        """
        check_architecture(where, state["agent"], self.agent.state_dict())
        self.agent.load_state_dict(state["agent"])
        self.agent.obs_norm.load_moments(state["obs_moments"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        self._updater.forget_graph()
        if state["generator"].numel() == self._generator.get_state().numel():
            self._generator.set_state(state["generator"])  # else of a CPU and now a GPU: its own seed stays
