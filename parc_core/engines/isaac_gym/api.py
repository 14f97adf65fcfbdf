"""The door to Isaac Gym Preview 4: its two modules, imported when and only when the engine is chosen.

Isaac Gym refuses to be imported after torch. So this module imports neither at its top, and whoever starts a process
that may need the engine calls `registry.before_torch` first (`parc_core.train` does). The registry's hooks are
`before_torch` and `check`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from parc_core.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from isaacgym import gymapi

_INSTEAD = "set `engine: auto` for MuJoCo"


class IsaacGym(NamedTuple):
    """What is needed of Isaac Gym beside `gymapi`, which functions import where they use it."""

    gym: gymapi.Gym
    """What gymapi.acquire_gym() gives."""
    torch: Any
    """The module isaacgym.gymtorch: tensors between Isaac Gym and PyTorch."""


def is_installed() -> bool:
    """Whether this interpreter finds Isaac Gym; imports nothing."""
    return "isaacgym" in sys.modules or importlib.util.find_spec("isaacgym") is not None


def check(device: torch.device) -> None:
    """Whether the engine can run on the device; costs nothing.

    Raises:
        ConfigError: see `check_importable`; or the GPU is newer than Isaac Gym's PhysX, which dies there with a
            segmentation fault (Ada, 8.9, is the last).
    """
    check_importable()
    if device.type != "cuda":
        return
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    if major >= 9:
        raise ConfigError(
            f"engine isaac_gym does not run on {torch.cuda.get_device_name(device)} (compute capability "
            f"{major}.{minor}; its PhysX ends at 8.9); set `engine: mujoco_warp`"
        )


def check_importable() -> None:
    """Whether `before_torch` has a chance; costs nothing.

    Raises:
        ConfigError: Isaac Gym is not installed here, or torch came before it.
    """
    if not is_installed():
        version = ".".join(map(str, sys.version_info[:2]))
        raise ConfigError(
            f"engine isaac_gym needs Isaac Gym Preview 4, which this interpreter (Python {version}) lacks; "
            f"set `trainer_python` to one with Isaac Gym (docs/isaac-gym.md), or {_INSTEAD}"
        )
    if "isaacgym.gymapi" not in sys.modules and "torch" in sys.modules:
        raise ConfigError(
            "engine isaac_gym: Isaac Gym must be imported before torch, which is imported already; "
            "start the training with `python -m parc_core.train`, or put `import isaacgym` first"
        )


def before_torch() -> None:
    """Imports Isaac Gym, in a process that has not yet imported torch.

    Raises:
        ConfigError: it is not installed, torch came before it, or it does not load; the message says which.
    """
    check_importable()
    _import("isaacgym.gymapi")


def load() -> IsaacGym:
    """Isaac Gym's interface and tensors.

    Raises:
        ConfigError: as `before_torch`; gymtorch compiles a little C++ at its first import and needs a compiler.
    """
    before_torch()
    api = _import("isaacgym.gymapi")
    return IsaacGym(api.acquire_gym(), _import("isaacgym.gymtorch"))


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: gymtorch without a compiler
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"engine isaac_gym: {name} does not load ({reason}); repair the installation "
            f"(docs/isaac-gym.md), or {_INSTEAD}"
        ) from error
