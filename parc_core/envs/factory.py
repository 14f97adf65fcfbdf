"""Builds the environment of an env file: character, dataset, terrain, engine."""

from __future__ import annotations

from typing import Type, Union

import torch

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.engines.devices import check_device
from parc_core.engines.engine import Engine, GraphEngine
from parc_core.engines.registry import check_engine, make_engine
from parc_core.envs.terrain_layout import TerrainLayout
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.loading import LoadedDataset, load_dataset
from parc_core.motion.dataset.slips import warn_of_slips
from parc_core.motion.formats import torch_file
from parc_core.motion.library import MotionLibrary


def make_env(
    config: EnvFileConfig,
    num_envs: int,
    device: Union[str, torch.device] = "cpu",
    engine: str = "auto",
    seed: int = 0,
    num_threads: int = 0,
) -> TrackingEnv:
    """The tracking environment that an env file describes.

    Args:
        config: the env file; `env.dm.motion_file` names the dataset.
        num_envs: N.
        device: "cpu" or "cuda:0".
        engine: "auto", "mujoco", "mujoco_warp" or "isaac_gym"; auto takes mujoco_warp on CUDA.
        seed: of motion sampling and starting noise.
        num_threads: physics threads of the mujoco engine, 0 for all cores.

    Raises:
        ConfigError: a setting that cannot be met here.
        DataError: character, dataset or terrain is unusable.
    """
    if num_envs < 1:
        raise ConfigError(f"num_envs is {num_envs}; it must be at least 1")
    env = config.env
    device = check_device(device)
    check_engine(engine, device)
    character = load_character(resolve(env.char_file))
    dataset = load_motions(config, character.num_bodies)
    warn_of_slips(resolve(str(env.dm.motion_file)), dataset, character)
    kinematics = Kinematics(character, device)
    library = MotionLibrary(dataset.arrays, dataset.weights, dataset.names, kinematics, device)
    layout = TerrainLayout.from_dataset(config, dataset)
    terrain = layout.pack(device)
    physics = make_engine(engine, character, terrain, config, num_envs, device, num_threads)
    environment = _environment_class(physics)
    tracking = environment(env, physics, kinematics, library, terrain, seed, layout)
    if env.dm.fail_rates_path and not env.dm.ignore_fail_rates:
        tracking.sampler.set_fail_rates(_load_fail_rates(env.dm.fail_rates_path), env.dm.fail_rates_path)
    return tracking


def _environment_class(engine: Engine) -> Type[TrackingEnv]:
    """The environment whose step is one graph of kernels where the engine can be part of such a graph."""
    if not isinstance(engine, GraphEngine):
        return TrackingEnv
    from parc_core.envs.warp.env import FusedTrackingEnv

    return FusedTrackingEnv


def load_motions(config: EnvFileConfig, num_bodies: int) -> LoadedDataset:
    """The dataset of an env file, for a character of num_bodies bodies.

    Raises:
        ConfigError: env.dm.motion_file is not set.
        DataError: a file of it is unusable.
    """
    motion_file = config.env.dm.motion_file
    if not motion_file:
        raise ConfigError("env.dm.motion_file is not set; name the dataset's motions.yaml")
    return load_dataset(resolve(motion_file), num_bodies=num_bodies)


def _load_fail_rates(path: str) -> torch.Tensor:
    file = resolve(path)
    rates = torch_file.load(file)
    if not isinstance(rates, torch.Tensor) or rates.ndim != 1:
        raise DataError(f"{file}: failure rates must be one tensor (num_motions,)")
    return rates
