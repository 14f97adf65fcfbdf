"""The training loop with updates beside the collection: what is caught up when, stops, rollback, refusals."""

from __future__ import annotations

import pytest
import torch

from parc_core.errors import EXIT_BAD_CONFIG, TrainingDiverged
from parc_core.train import main
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import poisoned, small_config, train
from tests.training.test_trainer import (
    FAKE,
    ITERATION,
    assert_same,
    events,
    final_state,
    log_rows,
    stop_in_iteration_5,
)

MINIBATCHES = 10  # of an update: 5 epochs of 64 samples, 32 each


def config_of(**changes):
    return small_config(**{"pipelined": True, "test_episodes": 0, "iters_per_output": 5, **changes})


def steps_taken(state):
    """How many minibatches the weights have learned from."""
    (steps,) = {int(each["step"]) for each in state["optimizer"]["state"].values()}
    return steps


@pytest.mark.parametrize("checkpoint", [3, 6])
def test_resuming_at_a_checkpoint_is_exact(tmp_path, checkpoint):
    """Of a training without an output there; the last rollout is learned from, too."""
    config = config_of(normalizer_samples=10**6)
    train(tmp_path / "whole", 8 * ITERATION, config=config, fingerprint=FAKE)
    for iterations in (checkpoint, 8):
        train(tmp_path / "parts", iterations * ITERATION, config=config, fingerprint=FAKE)
    whole, parts = final_state(tmp_path / "whole"), final_state(tmp_path / "parts")
    assert whole[0] == parts[0] == 8 * ITERATION
    assert_same(whole[1], parts[1])
    assert steps_taken(whole[1]) == 8 * MINIBATCHES
    models = [torch.load(tmp_path / name / "model.pt", weights_only=True) for name in ("whole", "parts")]
    assert_same(*models)
    assert_same(dict(models[0]), dict(whole[1]["agent"]))


def test_outputs_show_the_update_from_their_own_rollout(tmp_path):
    """With an output after every iteration all is caught up every time: the plain training to the last bit."""
    for name, pipelined in (("plain", False), ("pipelined", True)):
        config = config_of(pipelined=pipelined, iters_per_output=1, test_episodes=8)
        train(tmp_path / name, 7 * ITERATION, config=config)
    assert_same(final_state(tmp_path / "plain")[1], final_state(tmp_path / "pipelined")[1])
    rows = [log_rows(tmp_path / name) for name in ("plain", "pipelined")]
    for row in rows[0] + rows[1]:
        del row["Wall_Time"], row["Samples_Per_Second"]
    assert rows[0] == rows[1] and len(rows[0]) == 7


def test_updates_come_late_in_between(tmp_path):
    ends = []
    for name, pipelined in (("plain", False), ("pipelined", True)):
        trainer = train(tmp_path / name, 7 * ITERATION, config=config_of(pipelined=pipelined))
        ends.append(trainer.agent.model._critic_out.weight)
        assert [int(row["Iteration"]) for row in log_rows(tmp_path / name)] == [1, 5, 7]
        assert steps_taken(final_state(tmp_path / name)[1]) == 7 * MINIBATCHES
    assert not torch.equal(*ends)


def test_samples_per_second_are_those_of_all_iterations_since_the_last_line(tmp_path, monkeypatch):
    """By a clock that only the environment's steps move: 64 samples in 8 s, whatever runs beside what."""
    clock = {"now": 0.0}
    monkeypatch.setattr("parc_core.learning.stage_timer.time.perf_counter", lambda: clock["now"])

    class Slow(FakeEnv):
        def step(self, action):
            clock["now"] += 1.0
            return super().step(action)

    for pipelined in (False, True):
        out = tmp_path / str(pipelined)
        train(out, 7 * ITERATION, env=Slow(), config=config_of(pipelined=pipelined))
        assert [float(row["Samples_Per_Second"]) for row in log_rows(out)] == [8.0] * 3


def test_training_learns_the_task(tmp_path):
    config = config_of(
        exp_anneal_samples=None, exp_prob_beg=1.0, normalizer_samples=10**6, iters_per_output=7
    )
    train(tmp_path, 12_000, env=FakeEnv(64), config=config)
    returns = [float(row["Train_Return"]) for row in log_rows(tmp_path)]
    assert returns[-1] > returns[0] + 2.0


def test_a_signal_leaves_nothing_pending(tmp_path):
    """It comes in iteration 5, before which nothing was caught up since the checkpoint of iteration 3."""

    config = config_of(iters_per_output=100)
    stop_in_iteration_5(tmp_path, config)
    samples, state = final_state(tmp_path)
    assert samples == 5 * ITERATION and steps_taken(state) == 5 * MINIBATCHES
    assert train(tmp_path, 6 * ITERATION, config=config).samples == 6 * ITERATION
    assert steps_taken(final_state(tmp_path)[1]) == 6 * MINIBATCHES


def test_nan_rolls_back_and_goes_on(tmp_path):
    """The rollout of iteration 5 is poisoned; its update runs beside the next."""
    config = config_of(iters_per_output=100)
    trainer = train(tmp_path, 9 * ITERATION, env=poisoned(at_step=8 * 4 + 3, times=1), config=config)
    (event,) = events(tmp_path, "rollback")
    assert event["samples"] == 3 * ITERATION and event["from_samples"] == 6 * ITERATION
    samples, state = final_state(tmp_path)
    assert samples == trainer.samples == 9 * ITERATION and trainer.rollbacks == 1
    assert steps_taken(state) == 9 * MINIBATCHES
    assert all(torch.isfinite(value).all() for value in state["agent"].values())


def test_endless_nan_stops_with_a_clear_error(tmp_path):
    config = config_of(max_rollbacks=2, iters_per_output=100)
    with pytest.raises(TrainingDiverged, match="after 2 rollbacks"):
        train(tmp_path, 9 * ITERATION, env=poisoned(at_step=8 * 3 + 1, times=10**9), config=config)
    assert final_state(tmp_path)[0] == 3 * ITERATION


def test_it_belongs_to_what_a_training_is(tmp_path):
    from parc_core.training.fingerprint import shaping_settings

    assert shaping_settings("agent", small_config(pipelined=True))["agent.pipelined"] == "True"
    assert "agent.pipelined" not in shaping_settings("agent", small_config())


def test_several_processes_are_refused_before_they_start(tmp_path, capfd):
    agent = tmp_path / "agent.yaml"
    agent.write_text("pipelined: true\n")
    arguments = (
        f"--env_config data/configs/cpu/env.yaml --agent_config {agent} --output_dir {tmp_path / 'out'}"
    )
    code = main(
        [*arguments.split(), "--num_envs", "4", "--gpus", "2", "--device", "cpu", "--max_samples", "1"]
    )
    assert code == EXIT_BAD_CONFIG
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: pipelined:") and "gpus: 1" in line
