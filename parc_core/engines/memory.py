"""How many environments fit into a GPU's memory, for the message of a run that did not."""

from __future__ import annotations

import torch


def environments_that_fit(free_bytes: float, bytes_per_env: float, fixed: float = 0.0) -> int:
    """Largest number of environments for which fixed + n · bytes_per_env ≤ free_bytes.

    Args:
        free_bytes: what the device had free before anything was allocated.
        bytes_per_env: what each environment takes.
        fixed: what is taken however many there are.

    Returns:
        0 where not even one fits.

    Raises:
        ValueError: bytes_per_env is not positive.
    """
    if bytes_per_env <= 0:
        raise ValueError(f"bytes_per_env must be positive, got {bytes_per_env!r}")
    return max(0, int((free_bytes - fixed) // bytes_per_env))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch, Warp or Python found no memory."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error).lower()
    wanted = ("out of memory", "failed to allocate", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(part in text for part in wanted)
