"""Networks with other activations and layer normalization: values, gradients, and model files that name them."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from torch import nn

from parc_core.config.agent_config import ModelConfig, OptimizerConfig
from parc_core.errors import ConfigError, DataError
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import (
    build_agent,
    describe,
    load_into,
    read_model_file,
    write_model_file,
)
from parc_core.learning.optimizers import make_optimizer
from parc_core.learning.towers import LayerKind, kind_in, make_tower, tower_forward
from parc_core.learning.warm_start import check_start
from tests.learning.fake_env import FakeEnv
from tests.learning.test_mlp_bf16 import relative
from tests.training.run_fake import small_config, train
from tests.training.test_trainer import log_rows

PLAIN = {"relu": nn.ReLU, "elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU}
KINDS = [LayerKind(*kind) for kind in itertools.product(PLAIN, (False, True))]
NET = "fc_2layers_32units"
SILU = {"activation": "silu", "layer_norm": True}


def name_of(kind):
    return kind.activation + " normed" * kind.layer_norm


def plain_tower(tower, kind, dtype):
    """The same from PyTorch's own layers."""
    layers = []
    for linear in list(tower)[0::2]:
        layers.append(nn.Linear(linear.in_features, linear.out_features))
        layers += [nn.LayerNorm(linear.out_features)] * kind.layer_norm + [PLAIN[kind.activation]()]
    other = nn.Sequential(*layers).to(dtype)
    with torch.no_grad():
        for copy, parameter in zip(other.parameters(), tower.parameters()):
            copy.copy_(parameter)
    return other


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-6), (torch.bfloat16, 3e-2)], ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_values_and_gradients(kind, dtype, bound):
    torch.manual_seed(1)
    tower = make_tower(40, [48, 32], kind)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    x, upstream = torch.randn(8192, 40), 1.0 + torch.randn(8192, 32)  # large sums show how they are made
    exact = plain_tower(tower, kind, torch.float64)
    want = exact(x.double())
    got = tower_forward(tower, x.to(dtype), dtype)
    assert got.dtype == torch.float32 and relative(got, want) < bound
    ours = torch.autograd.grad(got, list(tower.parameters()), upstream)
    theirs = torch.autograd.grad(want, list(exact.parameters()), upstream.double())
    assert len(ours) == (8 if kind.layer_norm else 4)
    for gradient, reference in zip(ours, theirs):
        assert gradient.dtype == torch.float32
        assert relative(gradient, reference) < (bound if dtype == torch.float32 else 0.1)
    if dtype == torch.bfloat16:
        assert relative(got, want) > 1e-4  # bfloat16 was at work


def agent_of(kind):
    config = ModelConfig(
        actor_net=NET, critic_net=NET, activation=kind.activation, layer_norm=kind.layer_norm
    )
    return make_agent(FakeEnv(), config, 10.0)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_a_model_file_says_which_networks_it_holds(kind, tmp_path):
    agent = agent_of(kind)
    with torch.no_grad():
        for parameter in agent.model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    write_model_file(tmp_path / "model.pt", agent)
    model = read_model_file(tmp_path / "model.pt")
    assert kind_in(model.state, "_model._actor_layers") == kind
    again, obs = build_agent(model), torch.randn(5, 8)
    assert torch.equal(again.act_mode(obs), agent.act_mode(obs))
    assert torch.equal(again.values(obs), agent.values(obs))


def test_parcs_networks_have_parcs_names():
    names = [name for name in agent_of(LayerKind()).state_dict() if "_layers" in name]
    assert names == [
        f"_model.{tower}_layers.{place}.{part}"
        for tower in ("_actor", "_critic")
        for place in (0, 2)
        for part in ("weight", "bias")
    ]


def test_other_networks_are_refused_with_both_named(tmp_path):
    write_model_file(tmp_path / "model.pt", agent_of(LayerKind("silu", True)))
    model = read_model_file(tmp_path / "model.pt")
    assert "actor 32-16 layer norm silu, critic 32-16 layer norm silu" in describe(model.state)
    for kind in (LayerKind(), LayerKind("elu", True), LayerKind("silu")):
        with pytest.raises(
            ConfigError, match=r"layer norm silu.*set model.actor_net, critic_net, activation"
        ):
            load_into(agent_of(kind), model)
    config = ModelConfig(actor_net=NET, critic_net=NET, **SILU)
    check_start(tmp_path / "model.pt", config, [])
    with pytest.raises(ConfigError, match="another architecture"):
        check_start(tmp_path / "model.pt", dataclasses.replace(config, layer_norm=False), [])


def test_an_activation_of_the_future_is_refused_in_one_line(tmp_path):
    state = agent_of(LayerKind("silu")).model_state()
    state = {name.replace(".silu", ".mish"): value for name, value in state.items()}
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(DataError, match="do not fit together") as error:
        build_agent(read_model_file(tmp_path / "model.pt"))
    assert "\n" not in str(error.value)


def test_muon_leaves_the_norms_to_adam():
    model = agent_of(LayerKind("elu", True)).model
    optimizer = make_optimizer(model, OptimizerConfig(type="Muon"))
    assert [tuple(p.shape) for p in optimizer.param_groups[0]["params"]] == [(16, 32), (16, 32)]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 20


def test_they_learn_the_task(tmp_path):
    config = small_config(
        model=ModelConfig(actor_net=NET, critic_net=NET, action_std=0.2, **SILU),
        exp_anneal_samples=None,
        exp_prob_beg=1.0,
        normalizer_samples=10**6,
        matmul_precision="bf16",
    )
    trainer = train(tmp_path, 12_000, env=FakeEnv(64), config=config)
    returns = [float(row["Train_Return"]) for row in log_rows(tmp_path)]
    assert returns[-1] > returns[0] + 2.0
    assert not torch.equal(trainer.agent.model.actor_layers[1].norm_scale, torch.ones(32))
