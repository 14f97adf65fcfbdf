"""What interrupts the training loop: losses that are not finite, and signals."""

from __future__ import annotations

import math
import signal

import pytest
import torch

from parc_core.errors import TrainingDiverged
from tests.training.run_fake import poisoned, small_config, train
from tests.training.test_trainer import (
    ITERATION,
    assert_same,
    events,
    final_state,
    log_rows,
    stop_in_iteration_5,
)


def test_nan_rolls_back_and_goes_on(tmp_path, capsys):
    env = poisoned(at_step=8 * 4 + 3, times=1)
    trainer = train(tmp_path, 9 * ITERATION, env=env, config=small_config(test_episodes=0))
    assert trainer.samples == 9 * ITERATION and trainer.rollbacks == 1
    (event,) = events(tmp_path, "rollback")
    assert event["samples"] == 3 * ITERATION and event["from_samples"] == 5 * ITERATION
    assert "back to" in capsys.readouterr().err
    samples = [int(row["Samples"]) for row in log_rows(tmp_path)]
    assert samples == sorted(set(samples))
    clean = train(tmp_path / "clean", 9 * ITERATION, config=small_config(test_episodes=0))
    other = trainer.agent.model._critic_out.weight
    assert torch.isfinite(other).all()
    assert not torch.equal(other, clean.agent.model._critic_out.weight)  # another path of random numbers


def test_nan_before_the_first_checkpoint_goes_back_to_the_start(tmp_path):
    env = poisoned(at_step=10, times=1)
    trainer = train(tmp_path, 3 * ITERATION, env=env, config=small_config(test_episodes=0))
    assert events(tmp_path, "rollback")[0]["samples"] == 0
    assert trainer.samples == 3 * ITERATION
    assert all(math.isfinite(float(row["Loss"])) for row in log_rows(tmp_path))


def test_endless_nan_stops_with_a_clear_error(tmp_path):
    env = poisoned(at_step=8 * 3 + 1, times=10**9)
    with pytest.raises(TrainingDiverged, match="after 2 rollbacks"):
        train(tmp_path, 9 * ITERATION, env=env, config=small_config(max_rollbacks=2, test_episodes=0))
    samples, state = final_state(tmp_path)
    assert samples == 3 * ITERATION
    assert all(torch.isfinite(value).all() for value in state["agent"].values())


def test_signal_finishes_the_iteration_with_a_checkpoint(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    config = small_config(test_episodes=0)
    stop_in_iteration_5(tmp_path, config)
    assert signal.getsignal(signal.SIGTERM) == before
    assert final_state(tmp_path)[0] == 5 * ITERATION
    assert events(tmp_path)[-1]["event"] == "interrupted"
    assert train(tmp_path, 6 * ITERATION).samples == 6 * ITERATION
    whole = train(tmp_path / "whole", 6 * ITERATION, config=config)
    assert_same(final_state(tmp_path)[1]["agent"], final_state(tmp_path / "whole")[1]["agent"])
    assert whole.samples == 6 * ITERATION
