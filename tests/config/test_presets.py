"""The shipped presets say what they promise."""

from __future__ import annotations

import dataclasses

import pytest

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.schema import no_effect_warnings
from parc_core.config.tracker_config import load_tracker_config
from parc_core.learning.networks import hidden_sizes


@pytest.mark.parametrize("preset", ["cpu", "demo", "gpu"])
def test_presets_hold_nothing_without_effect(preset):
    assert no_effect_warnings(load_env_config(f"data/configs/{preset}/env.yaml")) == []
    assert no_effect_warnings(load_agent_config(f"data/configs/{preset}/agent.yaml")) == []


def test_gpu_preset_is_for_the_gpu_engine_with_parcs_networks(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    tracker = load_tracker_config("data/configs/gpu/tracker.yaml")
    assert (tracker.engine, tracker.device) == ("mujoco_warp", "cuda:0")
    agent = load_agent_config(tracker.agent_config)
    for net in (agent.model.actor_net, agent.model.critic_net):
        assert hidden_sizes(net) == [2048, 1024, 512]
    assert agent.matmul_precision == "auto" and agent.iters_per_evaluation > 0


def test_the_preset_for_two_gpus_is_that_of_one_but_for_its_batch(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    one = load_tracker_config("data/configs/gpu/tracker.yaml")
    two = load_tracker_config("data/configs/gpu/tracker_2gpus.yaml")
    assert (two.gpus, two.num_envs) == (2, 2 * one.num_envs)
    assert (two.env_config, two.engine) == (one.env_config, one.engine)
    agent, other = load_agent_config(one.agent_config), load_agent_config(two.agent_config)
    assert other.optimizer.learning_rate == pytest.approx(2**0.5 * agent.optimizer.learning_rate, rel=0.02)
    assert 0.85 < other.model.action_std_anneal_samples / two.max_samples < 0.95
    same = dataclasses.replace(
        other,
        optimizer=agent.optimizer,
        model=dataclasses.replace(
            other.model, action_std_anneal_samples=agent.model.action_std_anneal_samples
        ),
    )
    assert same == agent


def test_the_preset_for_many_clips_is_that_of_one_gpu_but_for_what_did_better(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    one = load_tracker_config("data/configs/gpu/tracker.yaml")
    many = load_tracker_config("data/configs/gpu/tracker_many.yaml")
    assert (many.num_envs, many.engine, many.device) == (one.num_envs, one.engine, one.device)
    env, other = load_env_config(one.env_config).env, load_env_config(many.env_config).env
    assert other.dm.sampling_bin_seconds == 1.0 and len(other.critic_obs) == 4
    dm = dataclasses.replace(other.dm, sampling_bin_seconds=env.dm.sampling_bin_seconds)
    assert dataclasses.replace(other, critic_obs=env.critic_obs, dm=dm) == env
    agent, trained = load_agent_config(one.agent_config), load_agent_config(many.agent_config)
    assert trained.optimizer == dataclasses.replace(agent.optimizer, type="Muon", momentum=0.95)
    assert trained.model == dataclasses.replace(agent.model, action_std_anneal_samples=None)
    assert trained.policy_average_samples == 3e6


def test_parcs_preset_has_parcs_values_and_takes_the_gpu_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    tracker = load_tracker_config("data/configs/parc_3_tracker_default.yaml")
    assert (tracker.engine, tracker.device, tracker.num_envs) == ("auto", "cuda:0", 2048)
    assert load_env_config(tracker.env_config) == EnvFileConfig()
    assert load_agent_config(tracker.agent_config) == AgentConfig()
