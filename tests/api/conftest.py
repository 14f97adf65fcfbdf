"""A small model with the configs beside it, as a training leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from parc_core.config.agent_config import AgentConfig, ModelConfig
from parc_core.config.resolve import write_yaml
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import write_model_file
from tests.envs.scenes import env_file, env_of, motion, write_dataset

NETS = ModelConfig(actor_net="fc_2layers_64units", critic_net="fc_2layers_64units")


@pytest.fixture(scope="session")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand and a walk, and their motions.yaml."""
    folder = tmp_path_factory.mktemp("walks")
    return write_dataset(folder, {"stand": motion("stand"), "walk": motion("walk")}).parent


@pytest.fixture(scope="session")
def model(walks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model.pt of residual actions, dm_env.yaml and agent_config.yaml."""
    folder = tmp_path_factory.mktemp("model")
    config = env_file(walks / "motions.yaml", action_mode="residual")
    env = env_of(walks / "motions.yaml", 1, action_mode="residual")
    agent = make_agent(env, NETS, norm_obs_clip=5.0)
    agent.obs_norm.record(env.reset() + 0.1 * env.obs_norm_mask)
    agent.obs_norm.update()
    write_model_file(folder / "model.pt", agent)
    write_yaml(folder / "dm_env.yaml", config)
    write_yaml(folder / "agent_config.yaml", AgentConfig(model=NETS, norm_obs_clip=5.0))
    return folder / "model.pt"
