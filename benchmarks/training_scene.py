"""A training as people run it, without its files: what `train_throughput` times."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional

import torch
from torch import Tensor

from benchmarks.scene import listing_of, synthetic_motions
from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.envs.factory import make_env
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.errors import DataError
from parc_core.learning.model_file import load_into, read_model_file
from parc_core.learning.pipeline import make_learner
from parc_core.learning.ppo import PPO

PRECISIONS = ("auto", "float32", "tf32", "bf16")
"""What `matmul_precision` may be."""
ENV_CONFIG = "data/configs/gpu/env.yaml"
AGENT_CONFIG = "data/configs/gpu/agent.yaml"


@dataclass(frozen=True)
class Scene:
    """What is trained, where; all that a measurement needs to be made again."""

    device: str = "cuda:0"
    """cpu or cuda:<number>."""
    engine: str = "auto"
    """Physics engine."""
    env_config: str = ENV_CONFIG
    """Environment file; its dataset is replaced."""
    agent_config: str = AGENT_CONFIG
    """Agent file; the fields below that are not None replace its values."""
    net: Optional[str] = None
    """Networks of actor and critic."""
    precision: Optional[str] = None
    """`matmul_precision`."""
    epochs: Optional[int] = None
    """`update_epochs`."""
    pipelined: Optional[bool] = None
    """Whether the update runs beside the collection."""
    model: Optional[str] = None
    """Model to start from; an untrained one falls more often and touches the ground more."""
    seed: int = 0
    """Seed of motions, starts, noise and minibatches."""


def motion_listing(motions: Optional[str], synthetic: int, folder: Path) -> Path:
    """The motions.yaml to train on.

    Args:
        motions: a motions.yaml, or a folder whose .pkl files are taken; None = synthetic ones.
        synthetic: how many synthetic ones.
        folder: where synthetic motions and the listing go.

    Raises:
        DataError: `motions` is neither.
    """
    if motions is None:
        return synthetic_motions(folder, synthetic)
    path = Path(motions)
    if path.is_file():
        return path.absolute()
    files = sorted(path.absolute().rglob("*.pkl"))
    if not files:
        raise DataError(f"{motions}: neither a motions.yaml nor a folder with .pkl files")
    return listing_of(files, folder / "motions.yaml")


def make_training(scene: Scene, num_envs: int, listing: Path) -> Training:
    """Environment and learner as a training process builds them."""
    config = scene_agent_config(scene)
    env = make_env(scene_env_config(scene, listing), num_envs, scene.device, scene.engine, scene.seed)
    torch.manual_seed(scene.seed)
    learner = make_learner(env, config, scene.seed, max_samples=10**12)
    if scene.model is not None:
        load_into(learner.agent, read_model_file(scene.model))
    return Training(env, learner, config)


class Training:
    """The iterations of a training without its outputs, checkpoints and evaluations.

    Attributes:
        env, learner, config: what is trained.
        samples: so far.
        record_obs: whether the normalizer learns, as at the beginning of a training.
    """

    def __init__(self, env: TrackingEnv, learner: PPO, config: AgentConfig) -> None:
        self.env, self.learner, self.config, self.samples = env, learner, config, 0
        self.record_obs = True
        self._obs = env.reset()

    def iterate(self) -> Dict[str, float]:
        """One rollout and one update; returns the update's numbers, none where it is still pending."""
        self._obs, updates = self.learner.iterate(self._obs, self.samples, self.record_obs)
        if self.record_obs:
            self.learner.agent.obs_norm.update()
        self.samples += self.learner.rollout.num_samples
        return updates[-1] if updates else {}

    def start_anew(self) -> Tensor:
        """Resets all environments, for whoever has stepped them in between. Returns obs (N, obs_dim)."""
        self._obs = self.env.reset()
        return self._obs


def scene_env_config(scene: Scene, listing: Path) -> EnvFileConfig:
    """The environment file with the motions to train on."""
    config = load_env_config(scene.env_config)
    motions = dataclasses.replace(config.env.dm, motion_file=str(listing))
    return dataclasses.replace(config, env=dataclasses.replace(config.env, dm=motions))


def scene_agent_config(scene: Scene) -> AgentConfig:
    """The agent file with the scene's own values."""
    config = load_agent_config(scene.agent_config)
    if scene.net is not None:
        model = dataclasses.replace(config.model, actor_net=scene.net, critic_net=scene.net)
        config = dataclasses.replace(config, model=model)
    wanted: Dict[str, Any] = {"matmul_precision": scene.precision, "update_epochs": scene.epochs}
    wanted["pipelined"] = scene.pipelined
    own = {key: value for key, value in wanted.items() if value is not None}
    return dataclasses.replace(config, use_tensorboard=False, **own)
