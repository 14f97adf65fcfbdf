"""The hand-written tower against autograd in float64, and the precisions it comes in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from parc_core.learning.mlp_bf16 import mlp_forward_bf16
from parc_core.learning.networks import ActorCritic
from parc_core.learning.precision import hidden_dtype, matmul_precision, resolve_precision

DTYPES = [torch.float64, torch.float32, torch.bfloat16]
BOUNDS = {torch.float64: 1e-14, torch.float32: 2e-6}


def tower(sizes, seed):
    torch.manual_seed(seed)
    layers = [(nn.Linear(sizes[k], sizes[k + 1]), nn.ReLU()) for k in range(len(sizes) - 1)]
    return nn.Sequential(*(part for layer in layers for part in layer))


def relative(got, want):
    """‖got − want‖ / ‖want‖ in float64."""
    return float((got.detach().double() - want.detach()).norm() / want.detach().norm())


def by_autograd(layers, x, upstream, dtype):
    """Output and gradients of x and the parameters, all of it in `dtype`."""
    params = [p.detach().to(dtype).requires_grad_() for p in layers.parameters()]
    x = x.detach().to(dtype).requires_grad_()
    y = x
    for weight, bias in zip(params[0::2], params[1::2]):
        y = torch.relu(torch.nn.functional.linear(y, weight, bias))
    return [y, *torch.autograd.grad(y, [x, *params], upstream.to(dtype))]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sizes", [(37, 19), (64, 48, 32, 16)], ids=["one layer", "three layers"])
@pytest.mark.parametrize("seed", [1, 2])
def test_values_and_gradients(dtype, sizes, seed):
    """Against float64; in bfloat16, where units near 0 switch, as near to it as autograd in bfloat16 comes."""
    layers = tower(sizes, seed).to(torch.float64 if dtype == torch.float64 else torch.float32)
    params = list(layers.parameters())
    x, upstream = torch.randn(200, sizes[0]), torch.randn(200, sizes[-1])
    want = by_autograd(layers, x, upstream, torch.float64)
    plain = by_autograd(layers, x, upstream, dtype)
    x = x.to(params[0].dtype).requires_grad_()
    out = mlp_forward_bf16(x, params, dtype)
    got = [out, *torch.autograd.grad(out, [x, *params], upstream.to(dtype))]
    assert out.dtype == dtype
    for ours, theirs, exact, like in zip(got, plain, want, [out, x, *params]):
        assert ours.dtype == like.dtype and ours.shape == like.shape
        if dtype in BOUNDS:
            assert relative(ours, exact) < BOUNDS[dtype]
        else:
            assert relative(ours, exact) < min(0.1, 1.3 * relative(theirs, exact))


def test_bfloat16_values_are_near():
    layers, x = tower((512, 256, 128), 5), torch.randn(300, 512)
    assert relative(mlp_forward_bf16(x, list(layers.parameters()), torch.bfloat16), layers(x)) < 1e-2


def test_gradients_of_observations_are_left_out():
    layers = tower((5, 4, 3), 0)
    seen = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(function)
            return function(*args, **(kwargs or {}))

    out = mlp_forward_bf16(torch.randn(7, 5), list(layers.parameters()), torch.float32).sum()
    with Watch():
        out.backward()
    # Two weight gradients and one that goes to the first layer's output.
    assert seen.count(torch.ops.aten.mm.default) == 3
    assert all(p.grad is not None for p in layers.parameters())


def test_networks_in_bfloat16_stay_near_float32_and_keep_float32_parameters():
    torch.manual_seed(3)
    model, obs = ActorCritic(40, 6, [64, 32], [64, 32], output_scale=0.5), torch.randn(128, 40)
    want = model.actor(obs).mode, model.critic(obs)
    model.dtype = torch.bfloat16
    for got, reference in zip((model.actor(obs).mode, model.critic(obs)), want):
        assert got.dtype == torch.float32
        assert 1e-6 < relative(got, reference) < 2e-2  # bfloat16 was at work
    (model.actor(obs).mode.sum() + model.critic(obs).sum()).backward()
    for parameter in model.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is None or parameter.grad.dtype == torch.float32


def test_which_precision_a_setting_means():
    cpu = torch.device("cpu")
    assert [resolve_precision(s, cpu) for s in ("auto", "float32", "tf32", "bf16")] == [
        "float32", "float32", "float32", "bf16",
    ]  # fmt: skip
    assert hidden_dtype("bf16") == torch.bfloat16
    assert hidden_dtype("tf32") == hidden_dtype("float32") == torch.float32


def test_tf32_is_for_the_block_alone():
    before = torch.get_float32_matmul_precision()
    with pytest.raises(KeyError), matmul_precision("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
        raise KeyError
    assert torch.get_float32_matmul_precision() == before
    with matmul_precision("bf16"):
        assert torch.get_float32_matmul_precision() == "highest"
