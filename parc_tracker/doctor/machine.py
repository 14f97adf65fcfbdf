"""Python, PyTorch, GPUs, disk and cores of this machine."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from parc_core.config.paths import PROJECT_ROOT
from parc_core.system.processes import usable_cores
from parc_tracker.doctor.check import Check, import_or_none
from parc_tracker.doctor.gpu_lines import driver_line, gpu_line, together_line

MIN_FREE_GIB = 5


def check_python() -> Check:
    """3.11 for the pipeline; only the trainer process runs on 3.8."""
    version = platform.python_version()
    if sys.version_info >= (3, 11):  # noqa: UP036 - who runs an older one is told so
        return Check("Python", True, version)
    return Check("Python", False, f"{version}: enough only for the trainer", "install Python 3.11 or newer")


def check_torch() -> Check:
    """PyTorch's version."""
    torch = import_or_none("torch")
    if torch is None:
        return Check("PyTorch", False, "not installed", "pip install torch")
    return Check("PyTorch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")


def check_cuda() -> Check:
    """GPUs that PyTorch sees, who trains on them, their driver."""
    torch = import_or_none("torch")
    fix = "install an NVIDIA driver and a CUDA build of PyTorch; without a GPU use device: cpu"
    if torch is None or not torch.cuda.is_available():
        return Check("CUDA GPU", False, "none that PyTorch can use", fix, needed=False)
    lines = [gpu_line(torch, index) for index in range(torch.cuda.device_count())]
    return Check("CUDA GPU", True, "; ".join([*lines, driver_line(torch)]), needed=False)


def check_together() -> Check:
    """What the processes of one training talk through (`gpus`)."""
    name, fix = "several GPUs", "install a build of PyTorch for Linux with CUDA; without it keep gpus: 1"
    torch = import_or_none("torch")
    if torch is None:
        return Check(name, False, "needs PyTorch", fix, needed=False)
    ok, detail = together_line(torch)
    return Check(name, ok, detail, "" if ok else fix, needed=False)


def check_kernels() -> Check:
    """Triton, for layer normalization and SiLU in one step; without it a GPU trains more slowly."""
    name, torch = "Triton", import_or_none("torch")
    if torch is None or not torch.cuda.is_available():
        return Check(name, True, "not needed without a GPU", needed=False)
    from parc_core.learning.norm_silu import KERNELS_FIX, missing_for_kernels  # imports torch

    missing = missing_for_kernels()
    if missing:
        return Check(name, False, f"{missing}: some updates are slower", KERNELS_FIX, needed=False)
    return Check(name, True, str(import_or_none("triton").__version__), needed=False)


def check_disk() -> Check:
    """Room in the working folder, where outputs go by default."""
    free = shutil.disk_usage(str(Path.cwd())).free / 2**30
    detail = f"{free:.0f} GiB free in {Path.cwd()}"
    if free < MIN_FREE_GIB:
        return Check(
            "disk", False, detail, f"make room: {MIN_FREE_GIB} GiB or more, or put output_dir elsewhere"
        )
    return Check("disk", True, detail)


def check_cores() -> Check:
    """CPU cores that this process may use."""
    return Check("CPU cores", True, f"{usable_cores()}; project in {PROJECT_ROOT}")
