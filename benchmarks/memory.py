"""GPU memory that a training takes, by who takes it."""

from __future__ import annotations

from typing import Dict

import torch

GB = 1e9


def start_of_memory(device: torch.device) -> float:
    """Bytes in use on the GPU before anything was built (other processes, this one's CUDA context); 0 on a CPU."""
    if device.type != "cuda":
        return 0.0
    torch.cuda.init()
    torch.cuda.reset_peak_memory_stats(device)
    free, total = torch.cuda.mem_get_info(device)
    return float(total - free)


def memory_in_use(device: torch.device, before: float) -> Dict[str, float]:
    """GB (10⁹ bytes) on the GPU now; empty on a CPU.

    Both PyTorch and Warp keep what they once reserved, so that the difference of the device's free memory is
    the peak of the training.

    Args:
        before: what `start_of_memory` gave.

    Returns:
        `device`: all that is in use on the GPU, `training`: what came since `before`,
        `torch peak` and `torch reserved`: tensors of PyTorch and its allocator's blocks,
        `warp peak`: Warp's memory pool (physics, kernels' arrays) where Warp is loaded and has one.
    """
    if device.type != "cuda":
        return {}
    torch.cuda.synchronize(device)
    free, total = torch.cuda.mem_get_info(device)
    used = {
        "device": total - free,
        "training": total - free - before,
        "torch peak": torch.cuda.max_memory_allocated(device),
        "torch reserved": torch.cuda.memory_reserved(device),
        "warp peak": _warp_peak(device),
    }
    return {name: round(size / GB, 3) for name, size in used.items()}


def _warp_peak(device: torch.device) -> float:
    import sys

    if "warp" not in sys.modules:
        return 0.0
    import warp as wp

    warp_device = wp.device_from_torch(device)
    return float(wp.get_mempool_used_mem_high(warp_device)) if warp_device.is_mempool_supported else 0.0
