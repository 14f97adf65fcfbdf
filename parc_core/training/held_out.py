"""Clips that the training never sees, evaluated while it goes on."""

from __future__ import annotations

import dataclasses
import math
from typing import Callable, Dict, Optional

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.config.train_args import TrainArgs
from parc_core.envs.factory import make_env
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.learning.agent import Agent
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.system.world import ONE_PROCESS, World
from parc_core.training.clip_evaluation import evaluate_clips_in_training
from parc_core.training.columns import EVALUATION_COLUMNS, HELD_OUT_COLUMNS

_MAX_ENVS = {"cpu": 256, "cuda": 4096}


class HeldOutClips:
    """Environments of their own for the held-out clips: nothing of the training is touched by playing them."""

    def __init__(self, env: TrackingEnv) -> None:
        self.env = env

    def evaluate(
        self, agent: Agent, heartbeat: Callable[[], None], world: World = ONE_PROCESS
    ) -> Dict[str, float]:
        """The columns `Held_Out_…`, what `Eval_…` are for the training's clips.

        Args:
            agent: of the training.
            heartbeat: called every step.
            world: whose processes take a part of the clips each; all must call it.
        """
        found = evaluate_clips_in_training(self.env, agent, heartbeat, world)
        return {name: found[column] for name, column in zip(HELD_OUT_COLUMNS, EVALUATION_COLUMNS)}


def make_held_out_clips(
    args: TrainArgs,
    env_file: EnvFileConfig,
    agent_config: AgentConfig,
    num_processes: int = 1,
    num_threads: int = 0,
) -> Optional[HeldOutClips]:
    """The held-out clips of a training; None where it has none, or never evaluates.

    Make them before the trainer, which seeds everything: what is random about making them must not come between.

    Args:
        args, env_file, agent_config: of the training.
        num_processes: that share the clips.
        num_threads: as `make_env`.

    Raises:
        ConfigError, DataError: as `make_env`.
    """
    if args.held_out_dataset is None or agent_config.iters_per_evaluation == 0:
        return None
    clips = len(read_motions_yaml(resolve(args.held_out_dataset)).entries)
    most = min(_MAX_ENVS["cuda" if args.device.startswith("cuda") else "cpu"], args.num_envs)
    dm = dataclasses.replace(
        env_file.env.dm, motion_file=args.held_out_dataset, ignore_fail_rates=True, fail_rates_path=None
    )
    config = dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, dm=dm, critic_obs=[]))
    num_envs = math.ceil(min(clips, most) / num_processes)
    return HeldOutClips(make_env(config, num_envs, args.device, args.engine, args.seed, num_threads))
