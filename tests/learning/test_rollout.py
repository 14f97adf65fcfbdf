"""The rollout stores observations once and still knows the values of true next observations."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.testing import assert_close

from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.ppo import PPO
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import small_config


class Recorder(FakeEnv):
    """Keeps each step's true next observation."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.next_obs, self.actions = [], []

    def step(self, action):
        result = super().step(action)
        self.actions.append(action.clone())
        self.next_obs.append(result[0].clone())
        return result


class InPlace(Recorder):
    """Writes all observations into the same tensor, as an environment on a GPU does."""

    def _obs(self):
        if not hasattr(self, "_buffer"):
            self._buffer = torch.empty(self.num_envs, self.obs_dim)
        self._buffer.copy_(super()._obs())
        return self._buffer


def run(explore_prob, record_obs=False, env=None, dtype=torch.float32, std="FIXED"):
    env = env or Recorder(num_envs=6, horizon=5)
    torch.manual_seed(0)
    config = small_config(
        steps_per_iter=12,
        exp_prob_beg=explore_prob,
        exp_prob_end=explore_prob,
        matmul_precision="bf16" if dtype == torch.bfloat16 else "float32",
    )
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, actor_std_type=std))
    beats = []
    ppo = PPO(env, config, 3, 10**9, lambda: beats.append(1))
    last = ppo.collect(env.reset(), 0, record_obs)
    assert len(beats) == 12
    return env, ppo.agent, ppo.rollout, last


@pytest.mark.parametrize("kind", [Recorder, InPlace])
def test_next_values_are_those_of_true_next_observations(kind):
    env, agent, rollout, last = run(explore_prob=1.0, env=kind(num_envs=6, horizon=5))
    values = agent.values(rollout.norm_obs.flatten(0, 1)).view(12, 6)
    want = torch.stack([agent.values(agent.normalize_obs(obs)) for obs in env.next_obs])
    needed = (rollout.dones == 0) | (rollout.dones == 3)
    assert (rollout.dones == 3).any() and needed.all()
    assert_close(rollout.next_values(values)[needed], want[needed])
    assert_close(last, env._obs())


def test_where_no_episode_times_out_only_the_last_values_are_asked_for():
    env = Recorder(num_envs=6, horizon=99)
    env.can_time_out = False
    env, agent, rollout, _ = run(explore_prob=1.0, env=env)
    assert not rollout.end_values[:-1].any() and not (rollout.dones == 3).any()
    values = agent.values(rollout.norm_obs.flatten(0, 1)).view(12, 6)
    want = torch.stack([agent.values(agent.normalize_obs(obs)) for obs in env.next_obs])
    goes_on = rollout.dones == 0
    assert_close(rollout.next_values(values)[goes_on], want[goes_on])


@pytest.mark.parametrize("std", ["FIXED", "CONSTANT", "VARIABLE"])
def test_the_old_policy_is_kept(std):
    _, agent, rollout, _ = run(explore_prob=0.7, std=std)
    data = rollout.all_samples()
    dist = agent.model.actor(data.norm_obs)
    assert_close(data.norm_means, dist.mean.detach())
    assert_close(data.logstd, dist.logstd.detach())
    assert data.logstd.shape == ((72, 3) if std == "VARIABLE" else (3,))
    assert_close(data.log_probs, dist.log_prob(data.norm_actions).detach())
    noise = (data.norm_actions - data.norm_means) / DiagGaussian(data.norm_means, data.logstd).std
    assert (noise[~data.explored] == 0).all()
    assert 0.8 < noise[data.explored].std() < 1.2


def test_observations_are_stored_as_the_networks_take_them():
    _, agent, rollout, _ = run(explore_prob=1.0, dtype=torch.bfloat16)
    assert rollout.norm_obs.dtype == torch.bfloat16 and rollout.norm_means.dtype == torch.float32
    assert rollout.norm_obs.float().abs().max() <= 10
    dist = agent.model.actor(rollout.norm_obs[3])
    assert_close(rollout.norm_means[3], dist.mean.detach())
    assert_close(rollout.log_probs[3], dist.log_prob(rollout.norm_actions[3]).detach())


class Waits(Exception):
    pass


@pytest.mark.parametrize("record_obs", [True, False])
def test_collecting_reads_no_number_off_the_device(monkeypatch, record_obs):
    class Still(FakeEnv):
        """Makes its steps without reading any number either; no episode ends."""

        def step(self, action):
            self._pos += 0.2 * (action - self._pos)
            return self._obs(), self._pos.sum(-1), self._done, {}

        def reset_done(self):
            return self._obs()

        def end_iteration(self, world):
            """No episode ends."""

    def refuse(*args, **kwargs):
        raise Waits

    def forbid():
        for name in (
            "item",
            "tolist",
            "nonzero",
            "__bool__",
            "__float__",
            "__int__",
            "__index__",
            "cpu",
            "numpy",
        ):
            monkeypatch.setattr(torch.Tensor, name, refuse)

    env = Still(num_envs=6)
    env.can_time_out = False
    env.reset()
    monkeypatch.setattr(env, "reset", lambda: forbid() or env._obs())
    run(0.5, record_obs=record_obs, env=env)


def test_without_exploration_actions_are_the_mode():
    env, agent, rollout, _ = run(explore_prob=0.0)
    assert not rollout.explored.any()
    modes = agent.model.actor(rollout.norm_obs[0]).mode
    assert_close(rollout.norm_actions[0], modes.detach())
    assert_close(env.actions[0], agent.unnormalize_action(modes).detach())


def test_some_environments_explore():
    _, _, rollout, _ = run(explore_prob=0.5)
    assert 0.2 < rollout.explored.float().mean() < 0.8


def test_observations_are_recorded_once_each():
    _, agent, _, _ = run(explore_prob=1.0, record_obs=True)
    assert agent.obs_norm.count == 0  # takes effect after the update
    agent.obs_norm.update()
    assert agent.obs_norm.count == agent.obs_norm.moments()["count"] == 12 * 6
