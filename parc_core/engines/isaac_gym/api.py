"""The door to Isaac Gym Preview 4: its two modules, imported when and only when the engine is chosen.

Isaac Gym refuses to be imported after torch. So this module imports neither at its top, and whoever starts a process
that may need the engine calls `import_isaac_gym` first (`parc_core.train` does).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from parc_core.errors import ConfigError

if TYPE_CHECKING:
    from isaacgym import gymapi

ENGINE = "isaac_gym"
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


def check_importable() -> None:
    """Whether `import_isaac_gym` has a chance; costs nothing.

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


def import_isaac_gym() -> None:
    """Imports Isaac Gym, in a process that has not yet imported torch.

    Raises:
        ConfigError: it is not installed, torch came before it, or it does not load; the message says which.
    """
    check_importable()
    _import("isaacgym.gymapi")


def load() -> IsaacGym:
    """Isaac Gym's interface and tensors.

    Raises:
        ConfigError: as `import_isaac_gym`; gymtorch compiles a little C++ at its first import and needs a compiler.
    """
    import_isaac_gym()
    api = _import("isaacgym.gymapi")
    return IsaacGym(api.acquire_gym(), _import("isaacgym.gymtorch"))


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: gymtorch without a compiler
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"engine isaac_gym: {name} does not load ({reason}); mend the installation "
            f"(docs/isaac-gym.md), or {_INSTEAD}"
        ) from error
