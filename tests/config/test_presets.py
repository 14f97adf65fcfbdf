"""The shipped presets say what they promise."""

from __future__ import annotations

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


def test_parcs_preset_has_parcs_values_and_takes_the_gpu_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    tracker = load_tracker_config("data/configs/parc_3_tracker_default.yaml")
    assert (tracker.engine, tracker.device, tracker.num_envs) == ("auto", "cuda:0", 2048)
    assert load_env_config(tracker.env_config) == EnvFileConfig()
    assert load_agent_config(tracker.agent_config) == AgentConfig()
