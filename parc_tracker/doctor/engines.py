"""The engines' packages, and what an engine needs besides."""

from __future__ import annotations

import importlib.util
import sys
from typing import Callable, Dict, Optional

from parc_core.engines.isaac_gym import api as isaac_api
from parc_core.engines.registry import ENGINES, EngineSpec
from parc_core.system.extras import pip_arguments
from parc_tracker.doctor.check import Check, import_or_none


def check_engine(engine: str) -> Check:
    """An engine's packages, and what it needs besides."""
    spec, name = ENGINES[engine], f"engine {engine}"
    if engine in _ENGINE_CHECKS:
        return _ENGINE_CHECKS[engine](name, spec)
    return _missing_packages(name, spec) or Check(name, True, "installed", needed=False)


def _missing_packages(name: str, spec: EngineSpec, needed: bool = False) -> Optional[Check]:
    missing = [package for package in spec.packages if import_or_none(package) is None]
    if not missing:
        return None
    return Check(name, False, f"{', '.join(missing)} not installed", _install_from_here(spec.pip), needed)


def _install_from_here(pip: str) -> str:
    return "pip install " + pip_arguments(pip)


def _check_mujoco(name: str, spec: EngineSpec) -> Check:
    """MuJoCo with its batch stepping (since 3.17)."""
    mujoco, fix = import_or_none("mujoco"), _install_from_here(spec.pip)
    if mujoco is None and importlib.util.find_spec("mujoco") is not None:
        # pip, replacing a MuJoCo 3 by a 4, takes away the files that have moved to mujoco-core.
        detail = "cannot be imported; an upgrade from MuJoCo 3 to 4 by pip leaves it incomplete"
        return Check(name, False, detail, f"pip uninstall -y mujoco mujoco-core mujoco-studio && {fix}")
    missing = _missing_packages(name, spec, needed=True)
    if missing is not None:
        return missing
    if import_or_none("mujoco.batch") is None and sys.version_info < (3, 10):
        return Check(
            name, True, f"{mujoco.__version__}, environments one by one (3.17 steps them in parallel)"
        )
    if import_or_none("mujoco.batch") is None:
        return Check(name, False, f"{mujoco.__version__} has no mujoco.batch (3.17 has)", fix)
    return Check(name, True, mujoco.__version__)


def _check_mujoco_warp(name: str, spec: EngineSpec) -> Check:
    """MuJoCo Warp, and a GPU that Warp can use; without one the engine runs only for tests."""
    missing = _missing_packages(name, spec)
    if missing is not None:
        return missing
    warp, mujoco_warp, torch = import_or_none("warp"), import_or_none("mujoco_warp"), import_or_none("torch")
    versions = f"{mujoco_warp.__version__}, Warp {warp.__version__}"
    driver = "install an NVIDIA driver for CUDA 12.4 or newer and a CUDA build of PyTorch; without a GPU use "
    driver += "engine: mujoco"
    if torch is None or not torch.cuda.is_available():
        return Check(name, False, f"{versions}, but PyTorch sees no CUDA GPU", driver, needed=False)
    warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)  # no greeting on standard output
    warp.init()
    if not warp.is_conditional_graph_supported():
        found = warp.get_cuda_driver_version()
        detail = f"{versions}, but the driver is for CUDA {'.'.join(map(str, found or ('?',)))}"
        return Check(name, False, detail, driver, needed=False)
    gpus = ", ".join(f"{device.alias} {device.name}" for device in warp.get_cuda_devices())
    return Check(name, True, f"{versions} on {gpus}", needed=False)


def _check_isaac_gym(name: str, spec: EngineSpec) -> Check:
    """Isaac Gym Preview 4 in this interpreter; looked for and not imported, which would have to come before torch."""
    fix = "see docs/isaac-gym.md, and name its interpreter as trainer_python"
    if not isaac_api.is_installed():
        return Check(name, False, "Isaac Gym is not installed in this interpreter", fix, needed=False)
    return Check(name, True, "Isaac Gym is installed (not tried)", needed=False)


_ENGINE_CHECKS: Dict[str, Callable[[str, EngineSpec], Check]] = {
    "mujoco": _check_mujoco,
    "mujoco_warp": _check_mujoco_warp,
    "isaac_gym": _check_isaac_gym,
}
"""Engines that need more than their packages."""
