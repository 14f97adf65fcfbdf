"""An MLP of ReLU layers whose matrices are multiplied in bfloat16 while its parameters stay float32.

PyTorch's autocast does the same with about twice the kernels: here bias and ReLU are the matrix product's
epilogue on CUDA, the inputs' gradient is left out where nothing needs it (the observations), and weight gradients
come as float32 out of the product.
"""

from __future__ import annotations

import functools
from typing import Any, List, Sequence, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def mlp_forward_bf16(x: Tensor, params: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """ReLU(… ReLU(x W₁ᵀ + b₁) … Wₗᵀ + bₗ), computed in `dtype`.

    Args:
        x: (B, F) in any floating type.
        params: W₁ (H₁, F), b₁ (H₁,), W₂ (H₂, H₁), …; float32 (or wider), which their gradients are, too.
        dtype: of products and activations; sums inside a product are float32.

    Returns:
        (B, Hₗ) in `dtype`.
    """
    features: Tensor = _MlpBf16.apply(x.to(dtype), *params)  # type: ignore[no-untyped-call]
    return features


class _MlpBf16(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *params: Tensor) -> Tensor:
        weights = [weight.to(x.dtype) for weight in params[0::2]]
        biases = [bias.to(x.dtype) for bias in params[1::2]]
        activations = [x]
        for weight, bias in zip(weights, biases):
            activations.append(_linear_relu(activations[-1], weight, bias))
        ctx.param_dtype = params[0].dtype
        ctx.save_for_backward(*activations, *weights)
        return activations[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Any, ...]:
        layers = (len(ctx.saved_tensors) - 1) // 2
        activations, weights = ctx.saved_tensors[: layers + 1], ctx.saved_tensors[layers + 1 :]
        grads: List[Tensor] = []
        for layer in reversed(range(layers)):
            grad = torch.ops.aten.threshold_backward(grad, activations[layer + 1], 0)  # 0 where the ReLU was
            weight_grad = _product(grad.t(), activations[layer], ctx.param_dtype)
            grads[:0] = [weight_grad, grad.sum(0, dtype=ctx.param_dtype)]
            if layer > 0 or ctx.needs_input_grad[0]:
                grad = grad @ weights[layer]
        return (grad if ctx.needs_input_grad[0] else None, *grads)


def _linear_relu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if x.is_cuda:
        return torch._addmm_activation(bias, x, weight.t())
    return torch.addmm(bias, x, weight.t()).relu_()


def _product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """a @ b in `dtype`, without a rounding in between where the device can do so."""
    if a.dtype == dtype:
        return a @ b
    if a.is_cuda and dtype == torch.float32 and _has_wide_product():
        return torch.mm(a, b, out_dtype=dtype)
    return (a @ b).to(dtype)


@functools.lru_cache(maxsize=None)
def _has_wide_product() -> bool:
    """Whether this PyTorch multiplies bfloat16 matrices into a float32 one (from 2.8 on)."""
    probe = torch.zeros(8, 8, dtype=torch.bfloat16, device="cuda")
    try:
        torch.mm(probe, probe, out_dtype=torch.float32)
    except (TypeError, RuntimeError):
        return False
    return True
