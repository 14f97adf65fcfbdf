"""What this machine can run: one line per check, each with its fix. Plain data; the command line prints it."""

from __future__ import annotations

import functools
from typing import Callable, List, Tuple

from parc_core.engines.registry import ENGINES
from parc_tracker.doctor.check import Check
from parc_tracker.doctor.engines import check_engine
from parc_tracker.doctor.machine import (
    check_cores,
    check_cuda,
    check_disk,
    check_kernels,
    check_python,
    check_together,
    check_torch,
)
from parc_tracker.doctor.pipeline import check_data_dir, check_prefect, check_store
from parc_tracker.doctor.rendering import check_rendering, check_viewer


def checks() -> List[Check]:
    """Look at everything; no check raises, a failing one is a line with its fix."""
    engines = [(f"engine {name}", functools.partial(check_engine, name)) for name in ENGINES]
    all_checks: List[Tuple[str, Callable[[], Check]]] = [
        ("Python", check_python),
        ("PyTorch", check_torch),
        ("CUDA GPU", check_cuda),
        ("several GPUs", check_together),
        ("Triton", check_kernels),
        *engines,
        ("rendering", check_rendering),
        ("viewer", check_viewer),
        ("Prefect", check_prefect),
        ("store", check_store),
        ("DATA_DIR", check_data_dir),
        ("disk", check_disk),
        ("CPU cores", check_cores),
    ]
    return [_guarded(name, check) for name, check in all_checks]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    # A half-installed package can raise anything at import; the doctor's work is to say so and continue.
    try:
        return check()
    except Exception as error:  # noqa: BLE001
        return Check(name, False, f"{type(error).__name__}: {_one_line(error)}", "repair or reinstall it")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
