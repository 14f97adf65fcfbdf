"""Layer normalization and SiLU in one kernel against float64: prints relative errors as JSON, one line a case.

Run with TRITON_INTERPRET=1, which Triton heeds when it is imported.
"""

from __future__ import annotations

import json
from typing import Tuple

import torch
from torch.nn import functional

from parc_core.learning.norm_silu import norm_silu
from tests.learning.test_mlp_bf16 import relative

SHAPES = [(33, 48), (7, 512), (1, 16), (3, 2048), (2, 3, 32), (40,)]


def errors(shape: Tuple[int, ...], dtype: torch.dtype) -> dict:
    """Of the output and of the gradients of x, scale and shift, with the gradients' types."""
    torch.manual_seed(0)
    x = (0.5 + 2.0 * torch.randn(shape)).to(dtype).requires_grad_()
    scale = (1.0 + 0.1 * torch.randn(shape[-1])).requires_grad_()
    shift = (0.1 * torch.randn(shape[-1])).requires_grad_()
    upstream = torch.randn(shape).to(dtype)
    out = norm_silu(x, scale, shift)
    ours = torch.autograd.grad(out, [x, scale, shift], upstream)
    exact = [value.detach().double().requires_grad_() for value in (x, scale, shift)]
    want = functional.silu(functional.layer_norm(exact[0], shape[-1:], *exact[1:]))
    theirs = torch.autograd.grad(want, exact, upstream.double())
    return {
        "dtype": str(dtype),
        "types": [str(value.dtype) for value in (out, *ours)],
        "errors": [relative(out, want), *(relative(one, other) for one, other in zip(ours, theirs))],
    }


if __name__ == "__main__":
    for shape in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            print(json.dumps(errors(shape, dtype)))
