"""The policy under evaluation: a model file's, or the one that a training starts from."""

from __future__ import annotations

from typing import Optional

import torch

from parc_core.config.agent_config import AgentConfig
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.errors import ConfigError
from parc_core.learning.agent import Agent, make_agent
from parc_core.learning.model_file import ModelFile, build_agent, check_actions, read_model_file
from parc_core.system.files import PathLike


def load_policy(
    model_file: Optional[PathLike],
    env: TrackingEnv,
    agent_config: Optional[AgentConfig] = None,
    seed: int = 0,
) -> Agent:
    """The agent of a model file, or for None the untrained one that `seed` gives.

    Args:
        model_file: PARC's or our model.pt, or a checkpoint; its own architecture counts.
        env: the environment that it will act in.
        agent_config: networks of the untrained agent and norm_obs_clip; default: PARC's values.

    Raises:
        DataError: the file is not a model.
        ConfigError: the model is for another character, observation or action mode than the environment's.
    """
    config = agent_config or AgentConfig()
    if model_file is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return make_agent(env, config.model, config.norm_obs_clip).eval()
    model = read_model_file(model_file)
    check_fits(model, env)
    return build_agent(model, config.norm_obs_clip, str(env.device))


def check_fits(model: ModelFile, env: TrackingEnv) -> None:
    """Refuses a model for another environment.

    Raises:
        ConfigError: another character, observation or action mode.
    """
    inputs = int(model.state["_model._actor_layers.0.weight"].shape[1])
    outputs = int(model.state["_model._action_dist._mean_net.weight"].shape[0])
    if (inputs, outputs) != (env.obs_dim, env.action_dim):
        raise ConfigError(
            f"{model.path}: takes {inputs} observations and gives {outputs} actions, the environment has "
            f"{env.obs_dim} and {env.action_dim}; evaluate with the dm_env.yaml beside the model"
        )
    low, high = env.action_low.cpu(), env.action_high.cpu()
    own = {"_a_norm._mean": 0.5 * (high + low), "_a_norm._std": 0.5 * (high - low)}
    check_actions(model.path, model.state, own)
