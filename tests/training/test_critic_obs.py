"""Trainings whose critic sees more than the policy."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from parc_core.errors import EXIT_BAD_CONFIG, ConfigError
from parc_core.learning.model_file import build_agent, critic_dim_of, read_model_file
from parc_core.learning.pipeline import make_learner
from parc_core.learning.ppo import PPO
from parc_core.learning.warm_start import check_start
from parc_core.playback.policy import load_policy
from parc_core.train import main
from tests.envs.scenes import env_of, motion, shortened, write_dataset
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import ModelConfig, small_config, train
from tests.training.test_trainer import ITERATION, assert_same, final_state

MORE = 8


class SeesMore(FakeEnv):
    """The critic also sees how long an episode lasts, and keeps each step's true next observation."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.critic_dim = MORE
        self.next = []

    def _obs(self):
        obs = super()._obs()
        self.critic_obs = (self._t / self.horizon)[:, None].expand(-1, MORE).clone()
        return obs

    def step(self, action):
        result = super().step(action)
        self.next.append((result[0].clone(), self.critic_obs.clone()))
        return result

    def load_state_dict(self, state):
        super().load_state_dict(state)
        self._obs()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_values_are_of_what_the_critic_sees_and_actions_are_not(precision):
    collected = []
    for kind in (SeesMore, FakeEnv):
        env = kind(num_envs=6, horizon=5)
        torch.manual_seed(0)
        config = small_config(steps_per_iter=12, exp_prob_beg=1.0, matmul_precision=precision)
        config = dataclasses.replace(config, exp_anneal_samples=None)
        ppo = PPO(env, config, 3, 10**9)
        ppo.collect(env.reset(), 0, False)
        collected.append((env, ppo))
    (env, ppo), (_, plain) = collected
    rollout, agent = ppo.rollout, ppo.agent
    width = env.obs_dim
    assert rollout.norm_obs.shape == (12, 6, width + MORE)
    # The policy is the same and sees the same.
    assert torch.equal(rollout.norm_obs[..., :width], plain.rollout.norm_obs)
    assert torch.equal(rollout.norm_actions, plain.rollout.norm_actions)
    # Values of the true next states, also where the episode ended by time and the environment started anew.
    assert (rollout.dones == 3).any()
    values = agent.values(rollout.norm_obs.flatten(0, 1)).view(12, 6)
    dtype = rollout.norm_obs.dtype
    want = torch.stack(
        [agent.values(torch.cat((agent.normalize_obs(o), c), 1).to(dtype)) for o, c in env.next]
    )
    assert_close(rollout.next_values(values), want)
    blind = rollout.norm_obs.clone()
    blind[..., width:] = 0
    assert not torch.allclose(agent.values(blind.flatten(0, 1)), values.flatten())
    info = ppo.update()
    assert info["all_finite"] == 1


@pytest.mark.parametrize("pipelined", [False, True])
def test_going_on_is_exact(tmp_path, pipelined):
    config = small_config(pipelined=pipelined)
    for name, parts in (
        ("whole", (6,)),
        ("parts", (3, 6)),
    ):  # checkpoints, for which a pipeline stops, at each third
        for iterations in parts:
            train(tmp_path / name, iterations * ITERATION, env=SeesMore(), config=config)
    assert_same(final_state(tmp_path / "whole")[1], final_state(tmp_path / "parts")[1])


def test_a_pipelined_update_values_the_last_step_as_it_was():
    """Not as the environments are that have started anew since."""
    env = SeesMore(num_envs=6, horizon=5)
    config = small_config(steps_per_iter=10, update_epochs=1, pipelined=True)  # two episodes and their ends
    learner = make_learner(env, config, 3, 10**9)
    learner.iterate(env.reset(), 0, False)
    obs, more = env.next[-1]
    assert not torch.equal(more, env.critic_obs)
    end = torch.cat((learner.agent.normalize_obs(obs), more), 1)
    want = learner.agent.values(end)
    learner.update()
    assert_close(learner._training_rollout.end_values[-1], want)


def test_going_on_with_motions_is_exact_and_the_model_plays_without_them(tmp_path: Path):
    listing = write_dataset(tmp_path, {"stand": shortened(motion("stand"), 12), "walk": motion("walk")})
    settings = {"critic_obs": ["time_left", "errors", "fail_rate", "forces"]}
    net = "fc_1layers_16units"
    config = small_config(
        model=ModelConfig(actor_net=net, critic_net=net), steps_per_iter=8, update_epochs=1, test_episodes=1
    )
    for name, parts in (("whole", (4,)), ("parts", (2, 4))):
        for iterations in parts:
            env = env_of(listing, 3, **settings)
            train(tmp_path / name, 24 * iterations, env=env, config=config)
    assert_same(final_state(tmp_path / "whole")[1], final_state(tmp_path / "parts")[1])
    plain = env_of(listing, 2)
    policy = load_policy(tmp_path / "whole" / "model.pt", plain)
    assert policy.act_mode(plain.reset()).shape == (2, plain.action_dim)


def test_a_model_of_parcs_critic_starts_one_that_sees_more(tmp_path):
    """With the same values; the other way round is refused."""
    train(tmp_path / "plain", 2 * ITERATION)
    model = tmp_path / "plain" / "model.pt"
    net = ModelConfig(actor_net="fc_2layers_32units", critic_net="fc_2layers_32units")
    check_start(model, net, ["forces"])
    start = train(tmp_path / "more", 0, env=SeesMore(), in_model_file=str(model))
    agent, was = start.agent, build_agent(read_model_file(model))
    obs, more = torch.randn(5, 8), torch.randn(5, MORE)
    assert_close(agent.values(torch.cat((obs, more), 1)), was.values(obs))
    assert torch.equal(agent.act_mode(obs), was.act_mode(obs))

    train(tmp_path / "more", 2 * ITERATION, env=SeesMore(), in_model_file=str(model))
    wider = read_model_file(tmp_path / "more" / "model.pt")
    assert critic_dim_of(wider.state) == MORE
    check_start(wider.path, net, ["forces"])
    with pytest.raises(ConfigError, match=r"critic 32-16 that sees 8 numbers more.*env\.critic_obs"):
        train(tmp_path / "back", 2 * ITERATION, in_model_file=wider.path)


def test_of_another_architecture_the_critic_is_described_as_it_is_in_the_file(tmp_path):
    train(tmp_path / "plain", ITERATION)
    model = str(tmp_path / "plain" / "model.pt")
    config = small_config(model=ModelConfig(actor_net="fc_1layers_32units", critic_net="fc_2layers_32units"))
    with pytest.raises(
        ConfigError, match=r"critic 32-16, .* ask for \(.*critic 32-16 that sees 8 numbers more"
    ):
        train(tmp_path / "more", ITERATION, env=SeesMore(), config=config, in_model_file=model)


def test_a_critic_that_saw_other_things_of_as_many_numbers_starts_no_training(tmp_path, capfd):
    """Contact forces and distances of the humanoid are 16 numbers each."""
    train(tmp_path, ITERATION, env=SeesMore())
    checkpoint = tmp_path / "checkpoints" / f"checkpoint_{ITERATION}.pt"
    net = ModelConfig(actor_net="fc_2layers_32units", critic_net="fc_2layers_32units")
    (tmp_path / "dm_env.yaml").write_text("env:\n  critic_obs: [forces, fail_rate]\n")
    for path in (tmp_path / "model.pt", checkpoint):
        check_start(path, net, ["fail_rate", "forces"])
        with pytest.raises(
            ConfigError, match=r"saw \[forces, fail_rate\] beside .* is \[errors\]; set it alike"
        ):
            check_start(path, net, ["errors"])
    agent, env = tmp_path / "agent.yaml", tmp_path / "env.yaml"
    agent.write_text("{}\n")
    listing = write_dataset(tmp_path, {"stand": shortened(motion("stand"), 12)})
    env.write_text(f"env:\n  critic_obs: [errors]\n  dm:\n    motion_file: {listing}\n")
    arguments = f"--env_config {env} --agent_config {agent} --output_dir {tmp_path / 'out'} --num_envs 1"
    arguments += f" --max_samples 1 --device cpu --engine mujoco --in_model_file {tmp_path / 'model.pt'}"
    assert main(arguments.split()) == EXIT_BAD_CONFIG
    (line,) = capfd.readouterr().err.splitlines()
    assert "model.pt: its critic saw [forces, fail_rate]" in line
