"""Muon against a plain one in float64, and which parameters it works on."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from parc_core.config.agent_config import OptimizerConfig
from parc_core.errors import ConfigError
from parc_core.learning.muon import Muon, orthogonalized
from parc_core.learning.networks import ActorCritic
from parc_core.learning.optimizers import LearningRate, load_optimizer_state, make_optimizer, optimizer_state

CONFIG = OptimizerConfig(type="Muon", learning_rate=0.01, momentum=0.9, weight_decay=0.1)


def networks():
    torch.manual_seed(0)
    return ActorCritic(7, 3, [16, 12, 20], [16, 12], std_type="CONSTANT")


def with_gradients(model, seed):
    given = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=given)


def plain_newton_schulz(g):
    """The iteration as the paper writes it, without turning the matrix over."""
    x = g / g.norm()
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * (x @ x.t()) @ x + 2.0315 * (x @ x.t()) @ (x @ x.t()) @ x
    return x


def test_steps_against_float64():
    model = networks()
    optimizer = make_optimizer(model, CONFIG)
    others = [p for p in model.parameters() if not any(p is m for m in model.hidden_matrices())]
    twins = [torch.nn.Parameter(p.detach().clone()) for p in others]
    adam = torch.optim.AdamW(twins, lr=0.01, weight_decay=0.1)
    want = [m.detach().double().clone() for m in model.hidden_matrices()]
    momenta = [torch.zeros_like(w) for w in want]
    for seed in range(3):
        with_gradients(model, seed)
        for k, matrix in enumerate(model.hidden_matrices()):
            grad = matrix.grad.double()
            momenta[k] = 0.9 * momenta[k] + 0.1 * grad
            step = plain_newton_schulz(0.9 * momenta[k] + 0.1 * grad)
            want[k] = (1 - 0.01 * 0.1) * want[k] - 0.01 * 0.2 * math.sqrt(max(grad.shape)) * step
        for parameter, twin in zip(others, twins):
            twin.grad = parameter.grad
        optimizer.step()
        adam.step()
    assert len(want) == 3
    for matrix, exact in zip(model.hidden_matrices(), want):
        assert_close(matrix.detach().double(), exact, rtol=0, atol=1e-6)
    for parameter, twin in zip(others, twins):
        assert torch.equal(parameter, twin)


@pytest.mark.parametrize("shape", [(40, 24), (24, 40)])
def test_singular_values_become_about_one(shape):
    torch.manual_seed(1)
    matrix = torch.randn(shape) * torch.logspace(0, -1, shape[1])
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    assert s.max() > 10 * s.min()
    both = orthogonalized(torch.stack([matrix, torch.zeros(shape)]))  # each by its own norm
    lifted = torch.diagonal(u.t() @ both[0] @ v.t())
    assert lifted.min() > 0.6 and lifted.max() < 1.3
    assert torch.equal(both[1], torch.zeros(shape))


def test_a_step_is_as_large_as_one_of_adam():
    torch.manual_seed(2)
    matrix = torch.nn.Parameter(torch.zeros(64, 48))
    other = torch.nn.Parameter(torch.zeros(64, 48))
    optimizer = Muon([matrix], torch.optim.AdamW([other], lr=0.5))
    matrix.grad, other.grad = torch.randn(64, 48), torch.randn(64, 48)
    optimizer.step()
    assert float(matrix.detach().square().mean().sqrt()) == pytest.approx(0.5 * 0.2, rel=0.3)
    assert float(other.detach().square().mean().sqrt()) == pytest.approx(
        0.5, rel=0.01
    )  # the first of Adam is a sign


def test_a_rate_that_is_a_tensor_is_that_of_both_groups():
    matrix, other = (torch.nn.Parameter(torch.zeros(4, 4)) for _ in range(2))
    rate = torch.tensor(0.5)
    optimizer = Muon([matrix], torch.optim.AdamW([other], lr=rate, capturable=False, foreach=False))
    LearningRate(optimizer).follow(torch.tensor(9.0), desired=0.01)
    assert [float(group["lr"]) for group in optimizer.param_groups] == pytest.approx([0.01, 0.01])


def test_a_loaded_state_goes_on_alike():
    """After loading, Adam's part works on the loaded groups and moments, too."""
    ends = []
    for reload in (False, True):
        model = networks()
        optimizer = make_optimizer(model, CONFIG)
        with_gradients(model, 0)
        optimizer.step()
        LearningRate(optimizer).set(0.02)
        if reload:
            state = optimizer_state(optimizer)
            optimizer = make_optimizer(model, CONFIG)
            load_optimizer_state(optimizer, state)
            assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.02]
        with_gradients(model, 1)
        optimizer.step()
        ends.append([p.detach() for p in model.parameters()])
    for a, b in zip(*ends):
        assert torch.equal(a, b)


def test_the_matrices_steps_wait_for_no_gpu(monkeypatch):
    """Nothing reads a number off the device, so that a CUDA graph can hold them; Adam's part is PyTorch's."""
    matrix, other = torch.nn.Parameter(torch.ones(6, 4)), torch.nn.Parameter(torch.ones(4))
    optimizer = Muon([matrix], torch.optim.SGD([other], lr=torch.tensor(0.1)), weight_decay=0.1)
    matrix.grad = torch.randn(6, 4)

    def refuse(*args, **kwargs):
        raise AssertionError("a number was read")

    for name in ("item", "tolist", "nonzero", "__bool__", "__float__", "__int__", "cpu", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    optimizer.step()
    monkeypatch.undo()
    assert not torch.equal(matrix, torch.ones(6, 4))


def test_networks_without_hidden_matrices_are_refused():
    with pytest.raises(ConfigError, match="networks of one layer do not have"):
        make_optimizer(ActorCritic(7, 3, [16], [16]), CONFIG)
