"""One of the processes of a training on the fake environment: `python -m tests.training.run_processes JSON`.

The JSON has `out`, `samples`, and what goes wrong: `fail` = [rank, sample count, what].
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

from parc_core.errors import ConfigError, ParcError
from parc_core.system.peers import Peers
from parc_core.system.signals import StopSignals
from parc_core.system.world import World, end_process
from parc_core.training.logger import NoProgress, ProgressFile
from parc_core.training.trainer import Trainer
from parc_core.training.training_state import RANK_STEP, TrainerOptions
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import small_config

QUIET = 3.0  # s


class Faulty(FakeEnv):
    """Goes wrong once at a step."""

    at, how = None, ""

    def step(self, action):
        if self.at is not None and self.steps_taken == self.at:
            if self.how == "refuse":
                raise ConfigError("this process cannot")
            if self.how == "sleep":
                time.sleep(60.0)
            if self.how == "poison":
                self.poison_from, self.poison_count = self.steps_taken, 1
            if self.how.startswith("SIG"):
                os.kill(os.getpid(), getattr(signal, self.how))
        return super().step(action)


def main(options):
    world = World.join(torch.device("cpu"))
    path = Path(options["out"]) / "progress.jsonl"
    progress = ProgressFile(path) if world.is_writer else NoProgress(path)
    env = Faulty(num_envs=options.get("envs", 8) // world.size, seed=RANK_STEP * world.rank)
    rank, at, how = options.get("fail", (None, None, ""))
    if rank == world.rank:
        env.at, env.how = at, how
    with Peers(world, functools.partial(print, flush=True), quiet=QUIET) as peers, StopSignals() as stop:
        told = TrainerOptions(Path(options["out"]), options["samples"], fingerprint={"task": "fake"})
        config = small_config(iters_per_output=1, test_episodes=0)
        with contextlib.redirect_stdout(sys.stderr):
            Trainer(env, config, told, progress, stop, world, peers).run()
        world.leave()


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except ParcError as error:
        print(error)
        end_process(error.exit_code)
    end_process(0)
