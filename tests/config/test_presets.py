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


def test_gpu_preset_is_for_the_gpu_engine_with_networks_of_parcs_sizes(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    tracker = load_tracker_config("data/configs/gpu/tracker.yaml")
    assert (tracker.engine, tracker.device) == ("mujoco_warp", "cuda:0")
    agent = load_agent_config(tracker.agent_config)
    for net in (agent.model.actor_net, agent.model.critic_net):
        assert hidden_sizes(net) == [2048, 1024, 512]
    assert agent.matmul_precision == "auto" and agent.iters_per_evaluation > 0
    assert (agent.model.activation, agent.model.layer_norm) == ("silu", True)
    assert agent.optimizer.type == "Muon" and agent.policy_average_samples == 3e6
    assert (
        agent.model.action_std_end < agent.model.action_std and agent.model.action_std_anneal_samples is None
    )
    env = load_env_config(tracker.env_config).env
    assert env.dm.sampling_bin_seconds == 1.0
    env.dm.check_evaluations(agent.iters_per_evaluation, "preset")
    assert env.dm.heeds_evaluations
    assert env.critic_obs == ["time_left", "errors", "fail_rate", "forces"]


def test_the_preset_for_two_gpus_is_that_of_one_but_for_its_batch(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    one = load_tracker_config("data/configs/gpu/tracker.yaml")
    two = load_tracker_config("data/configs/gpu/tracker_2gpus.yaml")
    assert (two.gpus, two.num_envs) == (2, 2 * one.num_envs)
    assert (two.env_config, two.engine) == (one.env_config, one.engine)
    agent, other = load_agent_config(one.agent_config), load_agent_config(two.agent_config)
    assert other.optimizer.learning_rate == pytest.approx(2**0.5 * agent.optimizer.learning_rate, rel=0.02)
    assert 2 * other.iters_per_evaluation == agent.iters_per_evaluation  # after as many samples
    same = {"optimizer": agent.optimizer, "iters_per_evaluation": agent.iters_per_evaluation}
    assert dataclasses.replace(other, **same) == agent
    assert (
        dataclasses.replace(other.optimizer, learning_rate=agent.optimizer.learning_rate) == agent.optimizer
    )


def test_parcs_preset_has_parcs_values_and_takes_the_gpu_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    tracker = load_tracker_config("data/configs/parc_3_tracker_default.yaml")
    assert (tracker.engine, tracker.device, tracker.num_envs) == ("auto", "cuda:0", 2048)
    assert load_env_config(tracker.env_config) == EnvFileConfig()
    assert load_agent_config(tracker.agent_config) == AgentConfig()
