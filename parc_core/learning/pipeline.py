"""Pipelined training: while one rollout is learned from, the next one is collected by the policy of before."""

from __future__ import annotations

import copy
from typing import Any, Dict, List, NamedTuple, Tuple

import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig
from parc_core.envs.vec_env import VecEnv
from parc_core.learning.losses import Info, as_numbers
from parc_core.learning.ppo import PPO, Numbers
from parc_core.learning.schedules import action_std
from parc_core.learning.stage_timer import StageTimer, stage_times
from parc_core.learning.streams import TwoStreams


def make_learner(env: VecEnv, config: AgentConfig, *args: Any, **kwargs: Any) -> PPO:
    """The learner that the config asks for; arguments and errors as `PPO`."""
    return (PipelinedPPO if config.pipelined else PPO)(env, config, *args, **kwargs)


MAX_WEIGHT = 2.0
"""Limit of a sample's weight."""


class _Begun(NamedTuple):
    """With what a rollout began."""

    samples: int
    of_env: Dict[str, float]


class PipelinedPPO(PPO):
    """PPO whose update runs beside the collection of the next rollout.

    In iteration k the policy of k − 2 updates collects rollout k, and beside it update k − 1 learns from rollout k − 1.
    Then both are joined: the update gets the rollout, the collection the newest weights. `catch_up` makes the pending
    update at once; the next rollout is then one of the newest policy.

    A stale rollout is not of the policy that an update begins with. Were ratios clipped about the policy that acted,
    the update before would have used up much of the range, and learning were slower. So the clipping is about the
    policy that the update begins with, and what another policy acted counts by advantages that are weighed by the
    probability ratio of both (the decoupled objective of Hilton, Cobbe and Schulman 2022), at most `MAX_WEIGHT`.

    Each rollout has the learning rate and the standard deviation of its own number of samples, in both stages. Return
    targets begin with the values of the critic that learns; only where an episode times out within a rollout the value
    is that of the critic that was there when it was collected. Normalizers belong to the collection.

    On the CPU the stages run one after the other, with the same results as beside each other.
    """

    def __init__(self, env: VecEnv, config: AgentConfig, *args: Any, **kwargs: Any) -> None:
        """See `PPO`."""
        super().__init__(env, config, *args, **kwargs)
        acting = copy.deepcopy(self.agent.model).requires_grad_(False)
        self._acting = self.agent.with_model(acting)
        self._training_rollout = self.rollout  # whose memory the recorded minibatches know
        self.rollout = self._make_rollout()
        self._end_obs, self._training_end_obs = (
            torch.zeros_like(self.rollout.norm_obs[-1]) for _ in range(2)
        )
        self._collector = self._make_collector(self._acting, self._end_obs)
        self._finite_moments = torch.ones((), dtype=torch.bool, device=env.device)
        self._begun = self._training_begun = _Begun(0, {})
        self._clock = StageTimer(env.device)  # of an iteration; `_timer` is that of its collection
        self._training_times: Tuple[StageTimer, StageTimer] = (self._timer, self._clock)
        self._behind = self._stale_rollout = False
        self.streams = TwoStreams(env.device)

    def iterate(self, obs: Tensor, samples: int, record_obs: bool) -> Tuple[Tensor, List[Numbers]]:
        """See `PPO.iterate`; the numbers are those of the update from the rollout before, if it was pending."""
        ended: List[Numbers] = []
        if not self._behind:
            self._send_weights()
        with self.streams.collection():
            self._clock.start()
        update = self._begin_update() if self._behind else None
        with self.streams.collection():
            obs = self.collect(obs, samples, record_obs)
        if update is not None:  # read now that the GPU has work for a whole rollout
            ended.append(self._end_update(update))
        with self.streams.collection():
            self.streams.join()
            self._hand_over(stale=update is not None)
        return obs, ended

    def catch_up(self) -> List[Numbers]:
        """See `PPO.catch_up`; nothing is collected beside that update."""
        if not self._behind:
            return []
        numbers = self._end_update(self._begin_update())
        numbers["iteration_seconds"] += numbers["update_seconds"]
        self.streams.join()
        self._behind = False
        return [numbers]

    def update(self) -> Numbers:
        """The pending update, as `catch_up` makes it.

        Raises:
            RuntimeError: none is pending.
        """
        numbers = self.catch_up()
        if not numbers:
            raise RuntimeError("there is no rollout that was not learned from")
        return numbers[0]

    def load_state(self, state: Dict[str, Any], where: str) -> None:
        """See `PPO.load_state`; a pending update is given up."""
        super().load_state(state, where)
        self._behind = False

    def state(self) -> Dict[str, Any]:
        """See `PPO.state`.

        Raises:
            RuntimeError: an update is pending, which it does not hold: `catch_up` first.
        """
        if self._behind:
            raise RuntimeError("an update is pending: call catch_up before state")
        return super().state()

    # -- the update, beside the collection ------------------------------------------------------------------

    def _begin_update(self) -> Tuple[Info, StageTimer]:
        """Orders the update; nothing waits for a GPU, unless it is recorded now."""
        timer = StageTimer(self._env.device)
        self.streams.fork()
        with self.streams.update():
            timer.start()
            samples, of_env = self._training_begun
            self._schedule = {**self._follow_schedules(samples), **of_env}
            info = self._learn()
            timer.lap()
        return info, timer

    def _end_update(self, update: Tuple[Info, StageTimer]) -> Numbers:
        """Its numbers, for which the host waits; the stages' times are those of the rollout and of this update."""
        info, timer = update
        with self.streams.update():
            numbers = as_numbers(info)
        collection, iteration = (each.seconds()[0] for each in self._training_times)
        return {**numbers, **stage_times(collection, timer.seconds()[0], iteration), **self._schedule}

    def _targets(self) -> Info:
        """See `PPO._targets`; the last step's bootstrap, too, is by the critic of now."""
        self._training_rollout.end_values[-1] = self.agent.values(self._training_end_obs)
        info = super()._targets()
        if self._stale_rollout:
            self._weigh()
        return info

    @torch.no_grad()
    def _weigh(self) -> None:
        """The policy of now becomes the one that ratios and divergences are to, and advantages are weighed for that."""
        rollout, actor = self._training_rollout, self.agent.model.actor
        for t in range(rollout.steps):
            policy = actor(rollout.norm_obs[t])
            log_probs = policy.log_prob(rollout.norm_actions[t])
            rollout.advantages[t] *= (log_probs - rollout.log_probs[t]).exp_().clamp_max_(MAX_WEIGHT)
            rollout.log_probs[t], rollout.norm_means[t] = log_probs, policy.mean
            if rollout.std_per_sample:
                rollout.logstd[t] = policy.logstd
            else:
                rollout.logstd.copy_(policy.logstd)

    def _moments_finite(self) -> Tensor:
        """As they were at the end of the rollout: the collection goes on changing them."""
        return self._finite_moments

    # -- the collection, and what goes from one to the other ------------------------------------------------

    def _begin_rollout(self, samples: int) -> None:
        std = action_std(self._config.model, samples, self._max_samples)
        if std is not None:
            self._acting.model.head.set_std(std)
        self._begun = _Begun(samples, self._env.begin_iteration(samples))

    @torch.no_grad()
    def _hand_over(self, stale: bool) -> None:
        """The rollout goes to the update and the weights of now to the collection; neither stage runs meanwhile.

        Args:
            stale: an update was made since the policy that collected.
        """
        self._stale_rollout = stale
        self._training_rollout.copy_(self.rollout)
        self._training_end_obs.copy_(self._end_obs)
        self._finite_moments.copy_(self.agent.obs_norm.moments_finite())
        self._training_begun = self._begun
        self._send_weights()
        self._clock.lap()
        self._training_times = (self._timer, self._clock)
        self._timer, self._clock = StageTimer(self._env.device), StageTimer(self._env.device)
        self._behind = True

    @torch.no_grad()
    def _send_weights(self) -> None:
        for acting, learned in zip(self._acting.model.parameters(), self.agent.model.parameters()):
            acting.copy_(learned)
