"""A training whose limits of early termination change with its samples."""

from __future__ import annotations

import dataclasses

import torch

from tests.envs.scenes import env_of, motion, shortened, write_dataset
from tests.training.run_fake import ModelConfig, small_config, train
from tests.training.test_trainer import assert_same, final_state, log_rows

STEPS, ENVS = 4, 3
ITERATION = STEPS * ENVS
CHANGING = {
    "termination_scale_start": 2.0,
    "termination_scale_end": 0.5,
    "termination_anneal_samples": 3 * ITERATION,
}
CONFIG = small_config(
    model=ModelConfig(actor_net="fc_1layers_16units", critic_net="fc_1layers_16units"),
    steps_per_iter=STEPS,
    update_epochs=1,
    iters_per_output=1,
    iters_per_checkpoint=2,
    iters_per_evaluation=2,
    test_episodes=1,
)


def test_they_are_logged_and_hold_while_samples_are_collected_alone(tmp_path):
    listing = write_dataset(tmp_path, {"stand": shortened(motion("stand"), 9)})
    env = env_of(listing, ENVS, **CHANGING)
    step, begin, iterations = env.step, env.begin_iteration, []

    def noting_step(action):
        iterations[-1].append(float(env.task.limit_scale))
        return step(action)

    def noting_begin(samples):
        iterations.append([])
        return begin(samples)

    env.step, env.begin_iteration = noting_step, noting_begin
    train(tmp_path / "out", 5 * ITERATION, env=env, config=CONFIG)
    assert [row["Termination_Scale"] for row in log_rows(tmp_path / "out")] == ["2", "1.5", "1", "0.5", "0.5"]
    assert [seen[:STEPS] for seen in iterations] == [[s] * STEPS for s in (2.0, 1.5, 1.0, 0.5, 0.5)]
    beyond = [seen[STEPS:] for seen in iterations]  # test episodes and evaluations
    assert all(beyond) and {scale for seen in beyond for scale in seen} == {1.0}


def test_going_on_is_exact(tmp_path):
    """A fresh process knows the limits from the samples; what the environment saves has no part in it."""
    listing = write_dataset(tmp_path, {"stand": motion("stand")})
    config = dataclasses.replace(CONFIG, iters_per_evaluation=0)
    train(tmp_path / "whole", 5 * ITERATION, env=env_of(listing, ENVS, **CHANGING), config=config)
    for iterations in (2, 5):
        env = env_of(listing, ENVS, **CHANGING)
        train(tmp_path / "parts", iterations * ITERATION, env=env, config=config)
    assert_same(final_state(tmp_path / "whole")[1], final_state(tmp_path / "parts")[1])
    assert env.state_dict().keys() == env_of(listing, ENVS).state_dict().keys()
    assert torch.equal(env.task.limit_scale, torch.ones(1))
