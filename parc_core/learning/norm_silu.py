"""Layer normalization and SiLU as one GPU kernel each way, by Triton.

As steps of their own they read and write a layer's numbers three times forwards and as often backwards. These kernels
read and write them once; what lies between, sums included, is float32.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, Dict, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EPS = 1e-5
"""Added to the variance, as by torch.nn.LayerNorm."""
_FORWARD_NUMBERS, _BACKWARD_NUMBERS = 10240, 6144
"""Of a layer, at once on each multiprocessor: five and three programs of 2048, for which the registers suffice."""
KERNELS_FIX = "Triton comes with PyTorch for CUDA on Linux and needs gcc and Python's headers (python3-dev)"
"""What to do where it cannot be used."""


def norm_silu(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """silu(scale · (x − mean) / √(variance + EPS) + shift), row by row.

    Args:
        x: (…, H) on a GPU, float32 or bfloat16.
        scale, shift: (H,) float32, which their gradients are, too.

    Returns:
        (…, H) in the type of `x`.
    """
    result: Tensor = _NormSilu.apply(x.reshape(-1, x.shape[-1]), scale, shift)  # type: ignore[no-untyped-call]
    return result.reshape(x.shape)


@functools.lru_cache(maxsize=None)
def has_kernels() -> bool:
    """Whether norm_silu can be used on this machine's GPUs; warns if not."""
    reason = missing_for_kernels()
    if reason:
        warnings.warn(
            f"layer normalization and SiLU take PyTorch's kernels, which are slower: {reason}; {KERNELS_FIX}",
            stacklevel=2,
        )
    return not reason


def missing_for_kernels() -> str:
    """Why Triton cannot be used on the current GPU (not here, no C compiler, no headers, …); empty if it can."""
    try:
        x, scale = torch.ones(2, 16, dtype=torch.bfloat16, device="cuda"), torch.ones(16, device="cuda")
        _, mean, inverse = _forward(x, scale, scale)
        _backward(x, x, scale, scale, mean, inverse)
    except Exception as error:  # noqa: BLE001 - Triton's errors have no base of their own, and any of them is a reason
        lines = str(error).strip().splitlines()
        return f"Triton cannot be used ({lines[0] if lines else type(error).__name__})"
    return ""


@functools.lru_cache(maxsize=None)
def _kernels() -> Any:
    from parc_core.learning import norm_silu_kernels

    return norm_silu_kernels


class _NormSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        x = x.contiguous()
        out, mean, inverse = _forward(x, scale, shift)
        ctx.save_for_backward(x, scale, shift, mean, inverse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        return _backward(grad.contiguous(), *ctx.saved_tensors)


def _forward(x: Tensor, scale: Tensor, shift: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """Output (B, H), and each row's mean and inverse standard deviation (B,)."""
    rows, width = x.shape
    out, mean = torch.empty_like(x), torch.empty(rows, dtype=torch.float32, device=x.device)
    inverse = torch.empty_like(mean)
    programs = _programs(x, _FORWARD_NUMBERS)
    with torch.cuda.device_of(x):  # Triton takes the current GPU
        _kernels().forward_kernel[(programs,)](
            *(x, scale, shift, out, mean, inverse, rows, width, EPS), **_shape(x, programs)
        )
    return out, mean, inverse


def _backward(
    grad: Tensor, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, inverse: Tensor
) -> Tuple[Tensor, Tensor, Tensor]:
    """Gradients of x (B, H), scale (H,) and shift (H,)."""
    rows, width = x.shape
    programs = _programs(x, _BACKWARD_NUMBERS)
    of_x, sums = torch.empty_like(x), torch.empty(2, programs, width, dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        _kernels().backward_kernel[(programs,)](
            *(grad, x, scale, shift, mean, inverse, of_x, sums[0], sums[1], rows, width),
            **_shape(x, programs),
        )
    of_scale, of_shift = sums.sum(1)
    return of_x, of_scale, of_shift


def _block(width: int) -> int:
    """The next power of 2, which Triton's ranges are."""
    return 1 << max(0, width - 1).bit_length()


def _shape(x: Tensor, programs: int) -> Dict[str, int]:
    """A program's rows, and its threads, which have eight numbers of a row each: 16 bytes in bfloat16."""
    rows, width = x.shape
    block = _block(width)
    return {"ROWS": -(-rows // programs), "BLOCK": block, "num_warps": min(16, max(1, block // 256))}


def _programs(x: Tensor, numbers: int) -> int:
    """As many as run at once with so many numbers on a multiprocessor, and at most one a row."""
    rows, width = x.shape
    return max(1, min(rows, _multiprocessors(x.device) * max(1, numbers // _block(width))))


@functools.lru_cache(maxsize=None)
def _multiprocessors(device: torch.device) -> int:
    """Triton's interpreter, on a CPU, is taken for one."""
    if device.type != "cuda":
        return 1
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
