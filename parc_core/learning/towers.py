"""Towers of hidden layers: PARC's, of ReLU alone, and ours with other activations or layer normalization.

A model file tells them by their names alone: linear layers have the even places, and a layer's activation, unless it is
a plain ReLU, has arrays of its own at the odd ones (`norm_scale`, `norm_shift`, and the activation's name).
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Iterable, List, NamedTuple, Sequence, cast

import torch
from torch import Tensor, nn
from torch.nn import functional, init
from torch.nn.parameter import Parameter

from parc_core.learning.mlp_bf16 import mlp_forward_bf16
from parc_core.learning.norm_silu import has_kernels, norm_silu

RELU = "relu"
ACTIVATIONS: Dict[str, Callable[[Tensor], Tensor]] = {
    RELU: functional.relu,
    "elu": functional.elu,
    "silu": functional.silu,
    "gelu": functional.gelu,
}


class LayerKind(NamedTuple):
    """What follows the linear part of a hidden layer."""

    activation: str = RELU
    """One of ACTIVATIONS."""
    layer_norm: bool = False
    """Whether the layer is normalized before it."""


PARCS_LAYERS = LayerKind()
"""ReLU alone."""
_FUSED = LayerKind("silu", layer_norm=True)
_FUSED_TYPES = (torch.float32, torch.bfloat16)


class Activation(nn.Module):
    """(B, H) → (B, H): layer normalization, if any, then the activation."""

    def __init__(self, width: int, kind: LayerKind) -> None:
        super().__init__()
        self._kind = kind
        if kind.layer_norm:
            self.norm_scale, self.norm_shift = Parameter(torch.ones(width)), Parameter(torch.zeros(width))
        if kind.activation != RELU:
            self.register_buffer(kind.activation, torch.ones(1))  # says in model files which one it is

    def forward(self, x: Tensor) -> Tensor:
        """In the type of `x`, but with layer normalization on CPUs in the parameters'."""
        if self._kind == _FUSED and x.is_cuda and x.dtype in _FUSED_TYPES and has_kernels():
            return norm_silu(x, self.norm_scale, self.norm_shift)
        if self._kind.layer_norm:
            # PyTorch sums the gradients of scale and shift in bfloat16 on CPUs (to 1024 at most), in float32 on GPUs.
            dtype = x.dtype if x.is_cuda else self.norm_scale.dtype
            scale, shift = self.norm_scale.to(dtype), self.norm_shift.to(dtype)
            x = functional.layer_norm(x.to(dtype), scale.shape, scale, shift)
        return ACTIVATIONS[self._kind.activation](x)


def make_tower(in_dim: int, hidden: Sequence[int], kind: LayerKind) -> nn.Sequential:
    """Linear, activation, linear, activation…: biases 0, weights PyTorch's uniform default."""
    layers: List[nn.Module] = []
    for width in hidden:
        layers += [make_linear(in_dim, width), nn.ReLU() if kind == PARCS_LAYERS else Activation(width, kind)]
        in_dim = width
    return nn.Sequential(*layers)


def make_linear(in_dim: int, out_dim: int) -> nn.Linear:
    """A linear layer whose biases are 0."""
    layer = nn.Linear(in_dim, out_dim)
    init.zeros_(layer.bias)
    return layer


def linear_layers(tower: nn.Sequential) -> List[nn.Linear]:
    """The linear parts of a tower's layers."""
    return [cast(nn.Linear, layer) for layer in list(tower)[0::2]]


def tower_forward(tower: nn.Sequential, x: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, F) → (B, H) float32, multiplied in `dtype`.

    PARC's towers have kernels of their own for bfloat16; others are in graphs of PyTorch's, with a kernel of ours for
    layer normalization and SiLU on GPUs. There what lies between the products stays in `dtype`: reading and writing it
    is what such layers cost beyond ReLU's. Their weights' gradients are summed in float32, rounded to `dtype`, and
    float32 as the parameters are.
    """
    if dtype == torch.float32:
        features: Tensor = tower(x)
        return features
    if isinstance(tower[1], nn.ReLU):
        return mlp_forward_bf16(x, list(tower.parameters()), dtype).float()
    for linear, activation in zip(linear_layers(tower), list(tower)[1::2]):
        x = activation(functional.linear(x.to(dtype), linear.weight.to(dtype), linear.bias.to(dtype)))
    return x.float()


def kind_in(names: Iterable[str], prefix: str) -> LayerKind:
    """The kind of the layers of the tower `prefix` in a model file with arrays of these names."""
    found = [re.match(re.escape(prefix) + r"\.1\.(\w+)$", name) for name in names]
    own = {match.group(1) for match in found if match}
    activation = next((name for name in ACTIVATIONS if name in own), RELU)
    return LayerKind(activation, "norm_scale" in own)
