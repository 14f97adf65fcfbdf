"""What a training that finds no memory says."""

from __future__ import annotations

import re

import pytest
import torch

from parc_core.config.agent_config import AgentConfig, ModelConfig
from parc_core.errors import ConfigError
from parc_core.learning import memory
from parc_core.learning.memory import MemoryBudget, is_out_of_memory, learner_bytes
from parc_core.learning.networks import ActorCritic, hidden_sizes
from parc_core.learning.rollout import Rollout

GIB = 2.0**30


@pytest.fixture
def device(monkeypatch):
    """A pretended GPU: bytes in use and in all, which tests may change."""
    state = {"used": 1.0 * GIB, "total": 80.0 * GIB}
    monkeypatch.setattr(memory, "_used_and_total", lambda _: (state["used"], state["total"]))
    return state


class Env:
    obs_dim, action_dim = 1312, 28


def fit(message):
    return int(re.search(r"about (\d+) would fit", message)[1])


def explain(budget, error):
    with pytest.raises(ConfigError) as found, budget.explained():
        raise error
    return str(found.value)


def test_environments_that_would_fit_from_what_was_measured(device):
    """100,000 environments take 50 GiB, the learner fails at all 79 GiB: of 0.9 · 79 GiB each needs ≥ 0.7 / 1024."""
    budget = MemoryBudget("cpu", 100_000, AgentConfig(matmul_precision="bf16"))
    device["used"] = 51 * GIB
    budget.environment_built(Env())
    device["used"] = 79.5 * GIB
    text = explain(
        budget, torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 12.50 GiB. GPU 0")
    )
    assert "100000 environments do not fit on cpu (80.0 GiB)" in text
    each, fixed = learner_bytes(AgentConfig(), 1312, 28, 2)
    most = (0.9 * 79 * GIB - fixed) / max(
        each + 50 * GIB / 100_000, (78.5 * GIB - fixed + 12.5 * GIB) / 100_000
    )
    assert fit(text) == int(most) // 64 * 64


def test_an_environment_that_did_not_fit_counts_the_learner_too(device):
    """Nothing is built yet and little in use: the learner's counted bytes alone keep the answer below N."""
    budget = MemoryBudget("cpu", 1_000_000, AgentConfig())
    text = explain(budget, RuntimeError("Failed to allocate 1000000 bytes on device 'cuda:0'"))
    each, fixed = learner_bytes(AgentConfig(), 1312, 28, 4)
    assert fit(text) == int((0.9 * 79 * GIB - fixed) / each) // 64 * 64


def test_fewer_than_those_that_did_not_fit(device):
    """A measurement that misses what was freed in between must not advise the same number."""
    text = explain(MemoryBudget("cpu", 256, AgentConfig()), MemoryError())
    assert fit(text) == 192
    text = explain(MemoryBudget("cpu", 1, AgentConfig()), MemoryError())
    assert "not even one would fit, take smaller networks" in text


def test_other_errors_pass(device):
    budget = MemoryBudget("cpu", 64, AgentConfig())
    with pytest.raises(RuntimeError, match="shape"), budget.explained():
        raise RuntimeError("shape mismatch")
    assert not is_out_of_memory(ValueError("out of memory"))


def test_counted_bytes_are_those_of_rollout_and_parameters():
    """Rollout and optimizer as they are allocated, within the small rest that is not counted one by one."""
    config = AgentConfig(model=ModelConfig("fc_2layers_64units", "fc_2layers_64units"), batch_size=1)
    obs, actions, envs = 100, 7, 3
    rollout = Rollout(config.steps_per_iter, envs, obs, actions, torch.device("cpu"))
    held = sum(t.numel() * t.element_size() for t in vars(rollout).values() if t.dim() > 1)
    each, fixed = learner_bytes(config, obs, actions, 4)
    assert held / envs < each < 1.5 * held / envs
    sizes = hidden_sizes("fc_2layers_64units")
    parameters = sum(p.numel() for p in ActorCritic(obs, actions, sizes, sizes).parameters())
    assert fixed == pytest.approx(16 * parameters, rel=0.01)
