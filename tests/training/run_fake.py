"""Trains on the fake environment: `python -m tests.training.run_fake OUT MAX_SAMPLES [SEED]`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.training.logger import ProgressFile
from parc_core.training.trainer import Trainer
from parc_core.training.training_state import TrainerOptions
from tests.learning.fake_env import FakeEnv


def small_config(**changes):
    values = {
        "model": ModelConfig(actor_net="fc_2layers_32units", critic_net="fc_2layers_32units", action_std=0.2),
        "optimizer": OptimizerConfig(type="Adam", learning_rate=1e-3),
        "steps_per_iter": 8,
        "normalizer_samples": 512,
        "iters_per_output": 4,
        "iters_per_checkpoint": 3,
        "test_episodes": 8,
        "use_tensorboard": False,
        "exp_prob_beg": 0.9,
        "exp_prob_end": 0.5,
        "exp_anneal_samples": 2000,
    }
    values.update(changes)
    return AgentConfig(**values)


class Stopping(FakeEnv):
    """Sends its process SIGTERM in the fifth iteration of 8 steps."""

    def step(self, action):
        if self.steps_taken == 8 * 4 + 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().step(action)


def poisoned(at_step, times):
    env = FakeEnv()
    env.poison_from, env.poison_count = at_step, times
    return env


def make_trainer(out, max_samples, env=None, config=None, stop=None, **options):
    progress = ProgressFile(Path(out) / "progress.jsonl")
    try:
        trainer = Trainer(
            env or FakeEnv(seed=options.get("seed", 0)),
            config or small_config(),
            TrainerOptions(Path(out), max_samples, **options),
            progress,
            stop,
        )
    except BaseException:
        progress.close()
        raise
    return trainer, progress


def train(out, max_samples, **options):
    trainer, progress = make_trainer(out, max_samples, **options)
    try:
        trainer.run()
    finally:
        progress.close()
    return trainer


if __name__ == "__main__":
    train(sys.argv[1], int(sys.argv[2]), fingerprint={"task": "fake"})
