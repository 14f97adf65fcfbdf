"""Environments by a function call, Gymnasium's as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

from parc_core.api.dataset import Dataset, load_dataset
from parc_core.api.policy import Policy
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.paths import existing_file
from parc_core.config.resolve import ENV_FILE
from parc_core.config.schema import from_mapping, to_mapping
from parc_core.envs import factory
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.errors import ConfigError
from parc_core.system.extras import install_extra
from parc_core.system.files import PathLike

if TYPE_CHECKING:
    from parc_core.envs.gymnasium_envs import TrackingGymEnv, TrackingVectorEnv


def make_env(
    dataset: Union[Dataset, PathLike],
    num_envs: int = 1,
    *,
    config: Union[PathLike, EnvFileConfig, Policy, None] = None,
    engine: str = "auto",
    device: str = "cpu",
    seed: int = 0,
    num_threads: int = 0,
    **settings: Any,
) -> TrackingEnv:
    """N environments in which a character imitates the motions of a dataset, each on its terrain.

    `step` returns obs (N, O), reward (N,), done (N,) int64 and a dict; `done` is a `DoneFlag`: 0 goes on, 1 failed or
    followed to the end (`env.fail_reason` says which), 3 out of time. Environments that are done stay as they are
    until `reset_done()`, which returns the observations to act on next; call it after every `step`.

    Args:
        dataset: of `load_dataset`, or what that takes.
        num_envs: N.
        config: an environment file, its content, or a policy, whose environment is taken; default: PARC's.
        engine: "mujoco", "mujoco_warp" or "auto": mujoco_warp on CUDA, else mujoco.
        device: "cpu" or "cuda:0", where all tensors are.
        seed: of motion sampling and starting noise.
        num_threads: of the mujoco engine's physics, 0 for all cores.
        settings: keys of the file's section `env` with other values, such as `episode_length=5.0`.

    Raises:
        ConfigError, DataError: a setting, file or dataset that cannot be used.
    """
    found = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
    env_file = _env_file(config)
    content = to_mapping(env_file)
    content["env"].update(settings)
    content["env"]["dm"]["motion_file"] = str(found.motions_yaml)
    env_file = from_mapping(EnvFileConfig, content, "make_env")
    return factory.make_env(env_file, num_envs, device, engine, seed, num_threads)


def _env_file(config: Union[PathLike, EnvFileConfig, Policy, None]) -> EnvFileConfig:
    if config is None:
        return EnvFileConfig()
    if isinstance(config, EnvFileConfig):
        return config
    if not isinstance(config, Policy):
        return load_env_config(existing_file(config, "config", "make_env"))
    if config.env_config is None:
        raise ConfigError(
            f"{config.file}: no {ENV_FILE} lies beside it; give make_env its environment file as config"
        )
    return config.env_config


def make_gym_env(dataset: Union[Dataset, PathLike], **options: Any) -> TrackingGymEnv:
    """One environment as a `gymnasium.Env`; options as of `make_env`. Needs the extra `gym`."""
    return _gymnasium_envs().TrackingGymEnv(make_env(dataset, 1, **options))


def make_gym_vector_env(
    dataset: Union[Dataset, PathLike], num_envs: int = 1, **options: Any
) -> TrackingVectorEnv:
    """N environments as a `gymnasium.vector.VectorEnv`; options as of `make_env`. Needs the extra `gym`."""
    return _gymnasium_envs().TrackingVectorEnv(make_env(dataset, num_envs, **options))


def _gymnasium_envs() -> Any:
    try:
        import gymnasium  # noqa: F401
    except ImportError:
        raise ConfigError(f"the package gymnasium is not installed; {install_extra('gym')}") from None
    from parc_core.envs import gymnasium_envs

    return gymnasium_envs
