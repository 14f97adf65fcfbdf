"""Proximal policy optimization (Schulman et al. 2017) on a vectorized environment, from top to bottom.

One iteration is `collect` (a rollout) and `update` (targets, then clipped steps on shuffled minibatches).
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig
from parc_core.envs.vec_env import VecEnv
from parc_core.learning.agent import Agent, make_agent
from parc_core.learning.collector import Collector
from parc_core.learning.cuda_graph import GraphedStep
from parc_core.learning.gradients import Averages
from parc_core.learning.losses import Info, as_numbers, loss_names, ppo_losses
from parc_core.learning.model_file import check_architecture, check_moments
from parc_core.learning.optimizers import (
    LearningRate,
    load_optimizer_state,
    make_optimizer,
    optimizer_state,
    trainable,
)
from parc_core.learning.policy_average import PolicyAverage
from parc_core.learning.precision import hidden_dtype, matmul_precision, resolve_precision
from parc_core.learning.returns import training_targets, value_bounds
from parc_core.learning.rollout import Rollout
from parc_core.learning.schedules import action_std, learning_rate
from parc_core.learning.stage_timer import StageTimer, stage_times
from parc_core.system.world import ONE_PROCESS, World

Numbers = Dict[str, float]
"""What an update returns."""


class PPO:
    """The learner: an agent, its rollout and its optimizer.

    Attributes:
        agent: what is learned.
        rollout: what is collected into: the samples of the last iteration.
        rate: the learning rate.
    """

    _training_rollout: Rollout
    """What is learned from: `rollout` itself."""

    def __init__(
        self,
        env: VecEnv,
        config: AgentConfig,
        seed: int,
        max_samples: int,
        heartbeat: Callable[[], None] = lambda: None,
        use_graph: bool = True,
        world: World = ONE_PROCESS,
    ) -> None:
        """Args:
        seed: of exploration and minibatches; networks come from torch's global generator.
        max_samples: where a linear learning rate reaches 0.
        heartbeat: called every control step and every minibatch.
        use_graph: record minibatches as a CUDA graph, where the optimizer can be recorded.
        world: the training's processes.

        Raises:
            ConfigError: `pipelined` in a training of several processes.
        """
        config.check_processes(world.size)
        self._env, self._config, self._max_samples = env, config, max_samples
        self._heartbeat, self._world = heartbeat, world
        self._generator = torch.Generator(device=env.device).manual_seed(seed)
        self._precision = resolve_precision(config.matmul_precision, env.device)
        self.agent = make_agent(env, config.model, config.norm_obs_clip, config.center_heights)
        model = self.agent.model
        model.dtype = hidden_dtype(self._precision)
        self._average: Optional[PolicyAverage] = None
        self.rollout = self._training_rollout = self._make_rollout()
        self._collector = self._make_collector(self.agent)
        self._bounds = value_bounds(env.reward_low, env.reward_high, config.discount, config.value_bounds)
        if config.policy_average_samples is not None:
            batch = self.rollout.num_samples * world.size
            self._average = PolicyAverage(self.agent, config.policy_average_samples, batch)
        self._params = trainable(model)
        self._optimizer = make_optimizer(model, config.optimizer)
        self.rate = LearningRate(self._optimizer)
        self._batch_size = min(self.rollout.num_samples, math.ceil(config.batch_size * env.num_envs))
        self._minibatch = self.rollout.empty_batch(self._batch_size)
        self._names = loss_names(config)
        self._averages = Averages.of(model, self._params, self._names[:-1], world) if world.size > 1 else None
        self._explorers = torch.ones((), device=env.device) if world.size > 1 else None
        self._sums = torch.zeros(len(self._names), device=env.device)
        self._step = GraphedStep(
            self._gradient_step,
            self._batch_size,
            self._optimizer,
            self._sums,
            enabled=use_graph and self.rate.on_device,
        )
        self._timer = StageTimer(env.device)
        self._schedule: Dict[str, float] = {}

    def _make_rollout(self) -> Rollout:
        env, model = self._env, self.agent.model
        return Rollout(
            self._config.steps_per_iter,
            env.num_envs,
            env.obs_dim + env.critic_dim,
            env.action_dim,
            env.device,
            obs_dtype=model.dtype,
            std_per_sample=model.head.depends_on_state,
        )

    def _make_collector(self, agent: Agent, end_obs: Optional[Tensor] = None) -> Collector:
        return Collector(
            self._env,
            self._config,
            agent,
            self.rollout,
            self._generator,
            self._precision,
            self._heartbeat,
            self._world,
            end_obs,
        )

    def iterate(self, obs: Tensor, samples: int, record_obs: bool) -> Tuple[Tensor, List[Numbers]]:
        """One iteration: a rollout, and an update from it.

        Args:
            obs, samples, record_obs: see `collect`.

        Returns:
            (N, O) the observation to continue from, and what each update that ended returned.
        """
        obs = self.collect(obs, samples, record_obs)
        return obs, [self.update()]

    def catch_up(self) -> List[Numbers]:
        """Makes the update that is still due, so that `agent` has learned from all samples. Returns its numbers."""
        return []

    def collect(self, obs: Tensor, samples: int, record_obs: bool) -> Tensor:
        """A rollout from `obs` (N, O) on, see `Collector.collect`. Returns (N, O) to continue from."""
        self._timer.start()
        self._begin_rollout(samples)
        obs = self._collector.collect(obs, samples, record_obs)
        self._timer.lap()
        return obs

    def _begin_rollout(self, samples: int) -> None:
        """Sets what the schedules say of the samples that now come, and of the update from them."""
        self._schedule = {**self._follow_schedules(samples), **self._env.begin_iteration(samples)}

    # -- update -----------------------------------------------------------------------------------------

    def update(self) -> Numbers:
        """Updates the agent from the rollout: update_epochs passes over it in shuffled minibatches.

        Returns:
            Means over the minibatches (loss, actor_loss, …, grad_norm), not finite if the update diverged;
            learning_rate of the last; all_finite = 1 if weights and the normalizer's moments are finite, else 0;
            collect_seconds, update_seconds, iteration_seconds (of both) and, where they change, action_std and what the
            environment changes.
        """
        info = self._learn()
        self._timer.lap()
        numbers = as_numbers(info)
        seconds = self._timer.seconds()
        times = stage_times(seconds[0], seconds[-1], seconds[0] + seconds[-1])
        return {**numbers, **times, **self._schedule}

    def _learn(self) -> Info:
        """The update; its log entries, which on a GPU are not there yet."""
        with matmul_precision(self._precision):
            info = self._targets()
            self._sums.zero_()
            minibatches = [ids for _ in range(self._config.update_epochs) for ids in self._shuffled()]
            explorers = self._explorers_of(minibatches)
            for count, ids in enumerate(minibatches, start=1):
                if self._explorers is not None:
                    self._explorers.copy_(explorers[count - 1])
                self._step(ids)
                self._heartbeat()
        info.update(zip(self._names, (self._sums / len(minibatches)).unbind()))
        if self._average is not None:
            self._average.update()
        info["learning_rate"] = self.rate.now
        info["all_finite"] = self._all_finite()
        return info

    def _targets(self) -> Info:
        """Fills in return targets and advantages of the rollout; returns their log entries."""
        rollout = self._training_rollout
        values = self.agent.values(rollout.norm_obs.flatten(0, 1)).view_as(rollout.rewards)
        return training_targets(rollout, values, self._bounds, self._config, self._world)

    def _shuffled(self) -> Tuple[Tensor, ...]:
        """Places of all samples in random order, in minibatches; the last one may be smaller."""
        device = self._sums.device
        order = torch.randperm(self._training_rollout.num_samples, generator=self._generator, device=device)
        minibatches: Tuple[Tensor, ...] = order.split(self._batch_size)
        return minibatches

    def _explorers_of(self, minibatches: Sequence[Tensor]) -> Tensor:
        """(m,) how many samples of each of m minibatches explored, in the mean over several processes."""
        if self._explorers is None:
            return torch.empty(0)
        counts = self._training_rollout.explorers(minibatches)
        return self._world.sum_(counts).clamp_min(1.0) / self._world.size

    def _gradient_step(self, ids: Tensor) -> None:
        """One step on the samples `ids` (B,); the gradient norm is that before clipping. Recorded on CUDA."""
        config = self._config
        batch = self._training_rollout.gather(ids, self._minibatch)
        of_actor, of_critic, info = ppo_losses(self.agent.model, batch, config, self._explorers)
        self._optimizer.zero_grad(set_to_none=True)
        of_critic.backward()
        if self._averages is not None:  # travels while the actor's gradients are computed
            self._averages.critic.begin()
        of_actor.backward()
        if self._averages is not None:
            self._averages.finish(info)
        limit = config.max_grad_norm if config.clip_grad_norm else float("inf")
        info["grad_norm"] = torch.nn.utils.clip_grad_norm_(self._params, limit).detach()
        if config.optimizer.schedule == "adaptive":
            self.rate.follow(info["kl"], config.optimizer.desired_kl)
        self._optimizer.step()
        self._sums += torch.stack([info[name] for name in self._names])

    def _all_finite(self) -> Tensor:
        """() bool: weights and the normalizer's moments are finite."""
        peaks = torch.stack([parameter.detach().abs().max() for parameter in self.agent.model.parameters()])
        return torch.isfinite(peaks).all() & self._moments_finite()

    def _moments_finite(self) -> Tensor:
        return self.agent.obs_norm.moments_finite()

    def _follow_schedules(self, samples: int) -> Dict[str, float]:
        """Sets what changes with the number of samples; returns its log entries."""
        rate = learning_rate(self._config.optimizer, samples, self._max_samples)
        if rate is not None:
            self.rate.set(rate)
        std = action_std(self._config.model, samples, self._max_samples)
        if std is None:
            return {}
        self.agent.model.head.set_std(std)
        return {"action_std": std}

    # -- state ------------------------------------------------------------------------------------------

    @property
    def policy(self) -> Agent:
        """What is evaluated and becomes the model: the average of the weights where there is one, else `agent`."""
        average = self._average
        return self.agent if average is None or average.updates == 0 else average.agent

    @property
    def uses_graph(self) -> bool:
        """Whether a minibatch has been recorded as a CUDA graph."""
        return self._step.recorded

    def reseed(self, seed: int) -> None:
        """Another path of exploration and minibatches."""
        self._generator.manual_seed(seed)

    def state(self) -> Dict[str, Any]:
        """For a checkpoint: tensors and plain containers."""
        state = {
            "agent": dict(self.policy.state_dict()),
            "obs_moments": self.agent.obs_norm.moments(),
            "optimizer": optimizer_state(self._optimizer),
            "generator": self._generator.get_state(),
        }
        if self._average is not None:
            state["policy_average"] = self._average.state()
        return state

    def load_state(self, state: Dict[str, Any], where: str) -> None:
        """Restores what `state` returned, on any device; exactly on one of the same kind.

        Raises:
            ConfigError: another architecture; `where` says whose.
            DataError: the normalizer's moments are missing or out of bounds.
        """
        check_architecture(where, state["agent"], self.agent.state_dict())
        check_moments(where, state.get("obs_moments"), state["agent"]["_obs_norm._mean"])
        self.agent.load_state_dict(state["agent"])
        if self._average is not None:
            self._average.load_state(state["policy_average"])
        self.agent.obs_norm.load_moments(state["obs_moments"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        self._step.invalidate()  # the optimizer's state is in other tensors now
        if state["generator"].numel() == self._generator.get_state().numel():
            self._generator.set_state(state["generator"])  # else of a CPU and now a GPU: its own seed stays
