"""What there is to say of this machine's GPUs: plain texts for the doctor."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from parc_core.errors import ConfigError
from parc_core.supervisor.gpu_lock import lock_owner

DRIVER_TIMEOUT_S = 20


def gpu_line(torch: Any, index: int) -> str:
    """Number, name, memory, and which training has the GPU."""
    free, total = torch.cuda.mem_get_info(index)
    name = torch.cuda.get_device_name(index)
    return f"cuda:{index} {name}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free, {_use(index)}"


def _use(index: int) -> str:
    try:
        owner = lock_owner(f"cuda:{index}")
    except ConfigError as error:
        return f"nobody can train on it: {error}"
    return "no training on it" if owner is None else f"in use by {owner}"


def driver_line(torch: Any) -> str:
    """The driver's version, where nvidia-smi tells it, and the CUDA that PyTorch was built for."""
    cuda = f"PyTorch for CUDA {torch.version.cuda}"
    program = shutil.which("nvidia-smi")
    if program is None:
        return f"driver unknown (no nvidia-smi), {cuda}"
    try:
        done = subprocess.run(
            [program, "--query-gpu=driver_version", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DRIVER_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"driver unknown (nvidia-smi: {type(error).__name__}), {cuda}"
    lines = done.stdout.split()
    return f"driver {lines[0]}, {cuda}" if done.returncode == 0 and lines else f"driver unknown, {cuda}"


def together_line(torch: Any) -> tuple[bool, str]:
    """Whether several processes can train together here, and through what."""
    dist = torch.distributed
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not dist.is_available():
        return False, "PyTorch without torch.distributed"
    if gpus == 0:
        return (
            dist.is_gloo_available(),
            "gloo, processes on the CPU" if dist.is_gloo_available() else "no gloo",
        )
    if not dist.is_nccl_available():
        return False, "PyTorch without NCCL"
    version = ".".join(map(str, torch.cuda.nccl.version()))
    return True, f"NCCL {version}, {gpus} GPU{'s' * (gpus > 1)}"
