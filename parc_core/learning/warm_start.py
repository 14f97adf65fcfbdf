"""Whether a model can start a training, asked before there are motions or an environment."""

from __future__ import annotations

from parc_core.config.agent_config import ModelConfig
from parc_core.learning.agent import Agent, make_networks
from parc_core.learning.model_file import check_architecture, critic_dim_of, read_model_file
from parc_core.learning.normalizer import Normalizer
from parc_core.system.files import PathLike


def check_start(path: PathLike, config: ModelConfig) -> None:
    """Refuses a file that is not a model, or is one of other networks; its observations and actions are compared later.

    Args:
        path: the model to start from.
        config: the networks that are asked for.

    Raises:
        DataError: not a model, damaged, or numbers not finite.
        ConfigError: other networks; the message names both.
    """
    model = read_model_file(path)
    obs_dim = model.state["_obs_norm._mean"].numel()
    action_dim = model.state["_a_norm._mean"].numel()
    networks = make_networks(obs_dim, action_dim, config, critic_dim_of(model.state))
    agent = Agent(networks, Normalizer(obs_dim), Normalizer(action_dim))
    check_architecture(model.path, model.state, agent.state_dict())
