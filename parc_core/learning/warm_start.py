"""Whether a model can start a training, asked before there are motions or an environment."""

from __future__ import annotations

from typing import Sequence

from parc_core.config.agent_config import ModelConfig
from parc_core.config.env_config import load_env_config
from parc_core.config.resolve import ENV_FILE, configs_beside
from parc_core.errors import ConfigError
from parc_core.learning.agent import Agent, make_networks
from parc_core.learning.model_file import ModelFile, check_architecture, critic_dim_of, read_model_file
from parc_core.learning.normalizer import Normalizer
from parc_core.system.files import PathLike


def check_start(path: PathLike, config: ModelConfig, critic_obs: Sequence[str]) -> None:
    """Refuses a file that is not a model, or is one of other networks; its observations and actions are compared later.

    Args:
        path: the model to start from.
        config: the networks that are asked for.
        critic_obs: what the critic is to see beside the observation.

    Raises:
        DataError: not a model, damaged, or numbers not finite.
        ConfigError: other networks, or a critic that saw something else; the message names both.
    """
    model = read_model_file(path)
    obs_dim = model.state["_obs_norm._mean"].numel()
    action_dim = model.state["_a_norm._mean"].numel()
    networks = make_networks(obs_dim, action_dim, config, critic_dim_of(model.state))
    agent = Agent(networks, Normalizer(obs_dim), Normalizer(action_dim))
    check_architecture(model.path, model.state, agent.state_dict())
    check_critic_obs(model, critic_obs)


def check_critic_obs(model: ModelFile, critic_obs: Sequence[str]) -> None:
    """Refuses a model whose critic saw other things beside the observation, as the configs beside it say: they may be
    just as many numbers. One without configs passes.

    Raises:
        ConfigError: naming both, or the config beside the model does not read.
    """
    beside = configs_beside(model.path) / ENV_FILE
    if critic_dim_of(model.state) == 0 or not beside.is_file():
        return
    saw = load_env_config(beside).env.critic_obs
    if set(saw) != set(critic_obs):
        raise ConfigError(
            f"{model.path}: its critic saw [{', '.join(saw)}] beside the observation ({ENV_FILE} beside it), but "
            f"env.critic_obs is [{', '.join(critic_obs)}]; set it alike, or use another file"
        )
