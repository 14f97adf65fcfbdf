"""A recording that succeeds without training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.learning.model_file import write_model_file
from parc_core.playback.policy import load_policy
from parc_core.record import RecordJob
from tests.evaluation.sample_data import SMALL_NETS, make_env_file


def untrained_job(folder: Path, kinds: list[str]) -> RecordJob:
    """One clip of each kind, an untrained policy, and no test that ends an episode: all are recorded at once."""
    env_file = make_env_file(folder / "motions", kinds)
    env = dataclasses.replace(env_file.env, enable_early_termination=False)
    env_file = dataclasses.replace(env_file, env=env)
    policy = load_policy(None, make_evaluation_env(env_file), SMALL_NETS, 0)
    write_model_file(folder / "model.pt", policy)
    return RecordJob(folder / "model.pt", env_file, SMALL_NETS, folder / "out")
