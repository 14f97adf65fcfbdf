"""The rollout stores observations once and still knows the values of true next observations."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from parc_core.learning.agent import make_agent
from parc_core.learning.rollout import Rollout, collect
from tests.learning.fake_env import FakeEnv
from tests.learning.run_fake import small_config


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


def run(explore_prob, record_obs=False):
    env = Recorder(num_envs=6, horizon=5)
    torch.manual_seed(0)
    config = small_config()
    agent = make_agent(env, config.model, config.norm_obs_clip)
    rollout = Rollout(12, env.num_envs, env.obs_dim, env.action_dim, env.device)
    generator = torch.Generator().manual_seed(3)
    beats = []
    last = collect(
        env, agent, env.reset(), rollout, explore_prob, generator, record_obs, lambda: beats.append(1)
    )
    assert len(beats) == 12
    return env, agent, rollout, last


def test_next_values_are_those_of_true_next_observations():
    env, agent, rollout, last = run(explore_prob=1.0)
    values = agent.values(rollout.norm_obs.flatten(0, 1)).view(12, 6)
    want = torch.stack([agent.values(agent.normalize_obs(obs)) for obs in env.next_obs])
    needed = (rollout.dones == 0) | (rollout.dones == 3)
    assert (rollout.dones == 3).any() and needed.all()
    assert_close(rollout.next_values(values)[needed], want[needed])
    assert_close(last, env._obs())


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
    assert agent.obs_norm.moments()["count"] == 12 * 6
    assert agent.obs_norm.count == 0  # takes effect after the update
