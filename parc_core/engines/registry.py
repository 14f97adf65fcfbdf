"""The table of engines: one row says all that the rest of the project needs to know about an engine.

Imports neither torch nor any engine, so that what has to come before torch can.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Tuple, Union

from parc_core.engines.packages import import_package
from parc_core.errors import ConfigError
from parc_core.system.extras import pip_arguments

if TYPE_CHECKING:
    import torch

    from parc_core.character.model import Character
    from parc_core.config.env_config import EnvFileConfig
    from parc_core.engines.engine import Engine
    from parc_core.terrain.packed import PackedTerrain


class EngineSpec(NamedTuple):
    """One engine."""

    module: str
    """Module of the engine's class, imported when the engine is chosen: a whole name, which cache keys follow."""
    class_name: str
    """A subclass of `Engine`."""
    packages: Tuple[str, ...] = ()
    """Modules that it imports beside torch, numpy and yaml."""
    pip: str = "'{}'"
    """What pip installs to get them; {} is the project, see `pip_arguments`."""
    devices: Tuple[str, ...] = ("cpu", "cuda")
    """Kinds of torch devices that it runs on; the first is advised where another was asked for."""
    hooks: str = ""
    """Module with `before_torch()` and `check(device)`, for an engine that must be imported before torch."""
    heeds_physx: bool = False
    """The `sim.physx` keys and the ground's restitution have their effect."""
    oldest_python: Tuple[int, int] = (3, 8)
    """Of the engine's own files."""


ENGINES: Dict[str, EngineSpec] = {
    "mujoco": EngineSpec(
        "parc_core.engines.mujoco.engine", "MujocoEngine", ("mujoco",), "'{}[mujoco]'", devices=("cpu",)
    ),
    "mujoco_warp": EngineSpec(
        "parc_core.engines.mujoco_warp.engine",
        "MujocoWarpEngine",
        ("warp", "mujoco", "mujoco_warp"),
        "'{}[gpu]'",
        oldest_python=(3, 10),
    ),
    "isaac_gym": EngineSpec(
        "parc_core.engines.isaac_gym.engine",
        "IsaacGymEngine",
        ("isaacgym.gymapi",),
        "/path/to/isaacgym/python",
        hooks="parc_core.engines.isaac_gym.api",
        heeds_physx=True,
    ),
}
NAMES = ("auto", *ENGINES)
"""What `engine` in a config may be."""


def resolve_engine(name: str, device: Union[str, torch.device]) -> str:
    """What `auto` stands for: mujoco_warp on CUDA, mujoco otherwise."""
    if name != "auto":
        return name
    return "mujoco_warp" if str(device).startswith("cuda") else "mujoco"


def check_engine_name(name: str, where: str = "") -> None:
    """Whether there is such an engine, or it is `auto`.

    Raises:
        ConfigError: there is not.
    """
    if name not in NAMES:
        begin = f"{where}: " if where else ""
        raise ConfigError(f"{begin}'engine' must be one of {', '.join(NAMES)}, but is {name!r}")


def heeds_physx(name: str) -> bool:
    """Whether the engine heeds the settings of PhysX."""
    return name in ENGINES and ENGINES[name].heeds_physx


def before_torch(name: str) -> None:
    """Imports what the engine needs imported before torch; call it at the start of a process.

    Raises:
        ConfigError: it cannot be imported.
    """
    if name in ENGINES and ENGINES[name].hooks:
        _hooks(ENGINES[name]).before_torch()


def check_engine(name: str, device: torch.device) -> str:
    """The engine's own name, if it exists and can run on the device, which is there.

    Raises:
        ConfigError: it does not or cannot; costs nothing, so ask before loading data.
    """
    check_engine_name(name)
    name = resolve_engine(name, device)
    spec = ENGINES[name]
    if spec.hooks:
        _hooks(spec).check(device)
    elif not all(importlib.util.find_spec(package) for package in spec.packages):
        raise ConfigError(f"engine {name} needs `{install_command(spec)}`")
    if device.type not in spec.devices:
        raise ConfigError(
            f"engine {name} does not run on {device}; set `device: {spec.devices[0]}`, or `engine: auto`"
        )
    return name


def make_engine(
    name: str,
    character: Character,
    terrain: PackedTerrain,
    config: EnvFileConfig,
    num_envs: int,
    device: torch.device,
    num_threads: int = 0,
) -> Engine:
    """The named engine with N environments; arguments as `Engine` describes them.

    Raises:
        ConfigError: the engine does not exist, is not installed, cannot run on the device, or its memory does not
            hold that many environments.
    """
    name = check_engine(name, device)
    spec = ENGINES[name]
    try:
        for package in () if spec.hooks else spec.packages:
            import_package(package)
        engine = getattr(importlib.import_module(spec.module), spec.class_name)
        return engine(character, terrain, config, num_envs, device, num_threads)
    except ImportError as error:
        raise ConfigError(f"engine {name} needs `{install_command(spec)}` ({error})") from error


def install_command(spec: EngineSpec) -> str:
    """How to get the engine's packages."""
    return "pip install " + pip_arguments(spec.pip)


def _hooks(spec: EngineSpec) -> Any:
    return importlib.import_module(spec.hooks)
