"""A trained model that acts."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union, overload

import numpy as np
import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.resolve import AGENT_FILE, ENV_FILE, configs_beside
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.learning.agent import Agent
from parc_core.learning.model_file import ModelFile, build_agent, read_model_file
from parc_core.playback.policy import check_fits
from parc_core.pull import model_folder
from parc_core.system.files import PathLike


class Policy:
    """A trained model that acts. Call it, or `act`, with observations.

    Attributes:
        file: where it was read.
        env_config: its environment, as `dm_env.yaml` beside it says, or None; what `make_env(config=policy)` takes.
        agent: the networks and normalizers, a torch module.
        num_obs, num_actions: O and D.
    """

    def __init__(
        self, file: Path, model: ModelFile, agent: Agent, env_config: Optional[EnvFileConfig] = None
    ) -> None:
        self.file, self.env_config, self.agent = file, env_config, agent
        self._model = model
        self.num_obs = int(model.state["_model._actor_layers.0.weight"].shape[1])
        self.num_actions = int(model.state["_model._action_dist._mean_net.weight"].shape[0])

    @overload
    def act(self, obs: Tensor) -> Tensor: ...

    @overload
    def act(self, obs: np.ndarray) -> np.ndarray: ...

    def act(self, obs: Union[Tensor, np.ndarray]) -> Union[Tensor, np.ndarray]:
        """The deterministic action, without exploration.

        Args:
            obs: (N, O) or (O,) raw observations, a tensor or an array.

        Returns:
            (N, D) or (D,) in the environment's units, rad; a tensor on the same device, or an array.
        """
        given = torch.as_tensor(obs, dtype=torch.float32)
        if given.shape[-1] != self.num_obs:
            raise ValueError(f"{self.file}: takes {self.num_obs} observations, not {given.shape[-1]}")
        self.to(given.device)
        action = self.agent.act_mode(given.reshape(-1, self.num_obs)).reshape(*given.shape[:-1], -1)
        return action if isinstance(obs, Tensor) else action.cpu().numpy()

    __call__ = act

    def to(self, device: Union[str, torch.device]) -> Policy:
        """The same policy, on another device."""
        self.agent.to(device)
        return self

    def check(self, env: TrackingEnv) -> None:
        """Refuses an environment that the model was not trained for.

        Raises:
            ConfigError: other observations, actions or action mode.
        """
        check_fits(self._model, env)

    def __repr__(self) -> str:
        return f"Policy({str(self.file)!r}, {self.num_obs} observations, {self.num_actions} actions)"


def load_policy(model: PathLike, device: str = "cpu") -> Policy:
    """A trained model, with the configs beside it.

    Args:
        model: PARC's or our `model.pt`, a checkpoint, the registry's `registry:NAME@latest` (`@best`, `@3`) in the
            store `$PARC_STORE`, or an address (`s3://bucket/model.pt`).
        device: "cpu" or "cuda:0".

    Raises:
        ConfigError: there is no such file.
        DataError: it is not a model, or damaged.
    """
    file = model_folder(str(model), False, "load_policy")
    folder = configs_beside(file)
    env_config = load_env_config(folder / ENV_FILE) if (folder / ENV_FILE).is_file() else None
    has_agent = (folder / AGENT_FILE).is_file()
    agent_config = load_agent_config(folder / AGENT_FILE) if has_agent else AgentConfig()
    content = read_model_file(file)
    agent = build_agent(content, agent_config.norm_obs_clip, device)
    return Policy(file, content, agent, env_config)
