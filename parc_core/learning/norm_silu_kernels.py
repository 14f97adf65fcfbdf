"""Triton's kernels of norm_silu.py. This module alone imports Triton, which PyTorch's CUDA builds bring on Linux."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def forward_kernel(  # type: ignore[no-untyped-def]
    x_at,
    scale_at,
    shift_at,
    out_at,
    mean_at,
    inverse_at,
    rows,
    width,
    eps,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Every so many-th row."""
    program = tl.program_id(0)
    place = tl.arange(0, BLOCK)
    within = place < width
    scale = tl.load(scale_at + place, mask=within, other=0.0)
    shift = tl.load(shift_at + place, mask=within, other=0.0)
    for turn in range(ROWS):
        row = (program + turn * tl.num_programs(0)).to(tl.int64)
        there = place < tl.where(row < rows, width, 0)
        x = tl.load(x_at + row * width + place, mask=there, other=0.0).to(tl.float32)
        mean = tl.sum(x, 0) / width
        centred = tl.where(within, x - mean, 0.0)
        inverse = 1.0 / tl.sqrt(tl.sum(centred * centred, 0) / width + eps)
        y = centred * inverse * scale + shift
        out = y * tl.sigmoid(y)
        tl.store(out_at + row * width + place, out.to(out_at.dtype.element_ty), mask=there)
        tl.store(mean_at + row, mean, mask=row < rows)
        tl.store(inverse_at + row, inverse, mask=row < rows)


@triton.jit
def backward_kernel(  # type: ignore[no-untyped-def]
    grad_at,
    x_at,
    scale_at,
    shift_at,
    mean_at,
    inverse_at,
    of_x_at,
    of_scale_at,
    of_shift_at,
    rows,
    width,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Every so many-th row, and over these the sums for scale and shift."""
    program = tl.program_id(0)
    place = tl.arange(0, BLOCK)
    within = place < width
    scale = tl.load(scale_at + place, mask=within, other=0.0)
    shift = tl.load(shift_at + place, mask=within, other=0.0)
    of_scale = tl.zeros((BLOCK,), dtype=tl.float32)
    of_shift = tl.zeros((BLOCK,), dtype=tl.float32)
    for turn in range(ROWS):
        row = (program + turn * tl.num_programs(0)).to(tl.int64)
        there = place < tl.where(row < rows, width, 0)
        x = tl.load(x_at + row * width + place, mask=there, other=0.0).to(tl.float32)
        grad = tl.load(grad_at + row * width + place, mask=there, other=0.0).to(tl.float32)
        inverse = tl.load(inverse_at + row, mask=row < rows, other=0.0)
        mean = tl.load(mean_at + row, mask=row < rows, other=0.0)
        normal = tl.where(there, (x - mean) * inverse, 0.0)
        y = normal * scale + shift
        gate = tl.sigmoid(y)
        grad = grad * gate * (1.0 + y * (1.0 - gate))
        of_scale += grad * normal
        of_shift += grad
        grad = grad * scale
        along, level = tl.sum(grad * normal, 0) / width, tl.sum(grad, 0) / width
        of_x = (grad - level - normal * along) * inverse
        tl.store(of_x_at + row * width + place, of_x.to(of_x_at.dtype.element_ty), mask=there)
    tl.store(of_scale_at + program * width + place, of_scale, mask=within)
    tl.store(of_shift_at + program * width + place, of_shift, mask=within)
