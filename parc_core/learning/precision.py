"""In which numbers the networks' hidden layers are multiplied: float32, TF32 or bfloat16."""

from __future__ import annotations

import contextlib
from typing import Iterator

import torch

FLOAT32, TF32, BF16 = "float32", "tf32", "bf16"


def resolve_precision(setting: str, device: torch.device) -> str:
    """The precision that a setting means on a device.

    Args:
        setting: `matmul_precision` of the agent config; "auto" = bf16 on GPUs that have it, else float32.

    Returns:
        float32, tf32 or bf16. tf32 is float32 on the CPU, which has no TF32.
    """
    if setting == "auto":
        return BF16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else FLOAT32
    if setting == TF32 and device.type != "cuda":
        return FLOAT32
    return setting


def hidden_dtype(precision: str) -> torch.dtype:
    """Type of the hidden layers' activations, and of the observations that are stored for them."""
    return torch.bfloat16 if precision == BF16 else torch.float32


@contextlib.contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Multiplies float32 matrices in TF32 where `precision` says so, exactly otherwise; then as before."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
