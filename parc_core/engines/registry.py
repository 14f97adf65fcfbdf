"""Which engine runs where."""

from __future__ import annotations

import importlib.util

import torch

from parc_core.character.model import Character
from parc_core.config.env_config import EnvFileConfig
from parc_core.engines.engine import Engine
from parc_core.engines.isaac_gym.api import check_importable
from parc_core.errors import ConfigError
from parc_core.terrain.packed import PackedTerrain


def resolve_engine(name: str, device: torch.device) -> str:
    """What `auto` stands for: mujoco_warp on CUDA, mujoco otherwise."""
    if name != "auto":
        return name
    return "mujoco_warp" if device.type == "cuda" else "mujoco"


def check_engine(name: str, device: torch.device) -> str:
    """The engine's own name, if it exists and can run on the device.

    Raises:
        ConfigError: it does not or cannot; costs nothing, so ask before loading data.
    """
    name = resolve_engine(name, device)
    if name not in ("mujoco", "mujoco_warp", "isaac_gym"):
        raise ConfigError(f"engine {name!r} is unknown; choose auto, mujoco, mujoco_warp or isaac_gym")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {device}: PyTorch sees no CUDA GPU here; set `device: cpu`")
    if name == "isaac_gym":
        check_importable()
        _check_physx_knows(device)
    if name == "mujoco_warp" and not all(map(importlib.util.find_spec, ("warp", "mujoco", "mujoco_warp"))):
        raise ConfigError("engine mujoco_warp needs `pip install 'parc-tracker[gpu]'`")
    if name == "mujoco" and device.type != "cpu":
        raise ConfigError(
            f"engine mujoco runs on the CPU; set `device: cpu`, or `engine: mujoco_warp` for {device}"
        )
    return name


def _check_physx_knows(device: torch.device) -> None:
    """Refuses GPUs newer than Isaac Gym's PhysX, which dies there with a segmentation fault (Ada, 8.9, is the last)."""
    if device.type != "cuda":
        return
    major, minor = torch.cuda.get_device_capability(device)
    if major >= 9:
        raise ConfigError(
            f"engine isaac_gym does not run on {torch.cuda.get_device_name(device)} (compute capability "
            f"{major}.{minor}; its PhysX ends at 8.9); set `engine: mujoco_warp`"
        )


def make_engine(
    name: str,
    character: Character,
    terrain: PackedTerrain,
    config: EnvFileConfig,
    num_envs: int,
    device: torch.device,
    num_threads: int = 0,
) -> Engine:
    """The named engine with N environments.

    Raises:
        ConfigError: the engine does not exist, is not installed, cannot run on the device, or its memory does not
            hold that many environments.
    """
    name = check_engine(name, device)
    try:
        if name == "mujoco_warp":
            from parc_core.engines.mujoco_warp.engine import MujocoWarpEngine

            return MujocoWarpEngine(character, terrain, config, num_envs, device)
        if name == "isaac_gym":
            from parc_core.engines.isaac_gym.engine import IsaacGymEngine

            return IsaacGymEngine(character, terrain, config, num_envs, device)
        from parc_core.engines.mujoco.engine import MujocoEngine

        return MujocoEngine(character, terrain, config, num_envs, num_threads)
    except ImportError as error:
        needed = "'parc-tracker[gpu]'" if name == "mujoco_warp" else "'mujoco>=3.17,<4'"
        raise ConfigError(f"engine {name} needs `pip install {needed}` ({error})") from error
