"""The training loop with what is switched on by settings: bfloat16, schedules, evaluation of all clips."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from parc_core.config.agent_config import AgentConfig, OptimizerConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.train_args import TrainArgs
from parc_core.learning.model_file import read_model_file
from parc_core.training import checkpoint as checkpoints
from parc_core.training import clip_evaluation, fingerprint
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import ModelConfig, small_config, train
from tests.training.test_trainer import ITERATION, assert_same, events, final_state, log_rows

NET = "fc_2layers_32units"


def model_of(**changes):
    return ModelConfig(actor_net=NET, critic_net=NET, action_std=0.2, **changes)


def test_bfloat16_learns_the_task_and_writes_float32(tmp_path):
    config = small_config(
        exp_anneal_samples=None, exp_prob_beg=1.0, normalizer_samples=10**6, matmul_precision="bf16"
    )
    trainer = train(tmp_path, 12_000, env=FakeEnv(64), config=config)
    returns = [float(row["Train_Return"]) for row in log_rows(tmp_path)]
    assert returns[-1] > returns[0] + 2.0
    assert trainer.agent.model.dtype == torch.bfloat16
    model = torch.load(tmp_path / "model.pt", weights_only=True)
    assert {value.dtype for value in model.values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": OptimizerConfig(type="Adam", learning_rate=1e-3, schedule="adaptive")},
        {"model": model_of(action_std_end=0.1, action_std_anneal_samples=600)},
        {"matmul_precision": "bf16"},
        {"model": model_of(actor_std_type="VARIABLE")},
        {"iters_per_evaluation": 2},
        {"policy_average_samples": 100},
        {"pipelined": True, "policy_average_samples": 100},
        {"model": model_of(activation="silu", layer_norm=True), "matmul_precision": "bf16"},
        {"optimizer": OptimizerConfig(type="Muon", learning_rate=1e-3, schedule="adaptive")},
    ],
    ids=[
        "adaptive",
        "falling std",
        "bf16",
        "std of the state",
        "evaluation",
        "policy average",
        "pipelined",
        "norm",
        "Muon",
    ],
)
def test_going_on_is_exact(tmp_path, changes, monkeypatch):
    monkeypatch.setattr(
        clip_evaluation,
        "evaluate_clips_in_training",
        lambda env, agent, beat, world, heed, turn: {"Eval_Return": float(env._pos.sum())},
    )
    config = small_config(test_episodes=0, **changes)
    train(tmp_path / "whole", 7 * ITERATION, config=config)
    for iterations in (4, 7):
        train(tmp_path / "parts", iterations * ITERATION, config=config)
    assert_same(final_state(tmp_path / "whole")[1], final_state(tmp_path / "parts")[1])


def test_the_average_is_evaluated_and_written_while_the_weights_go_on(tmp_path, monkeypatch):
    evaluated = []

    def evaluate(env, agent, beat, world, heed, turn):
        evaluated.append({name: value.clone() for name, value in agent.state_dict().items()})
        return {"Eval_Return": 0.0}

    monkeypatch.setattr(clip_evaluation, "evaluate_clips_in_training", evaluate)
    config = small_config(test_episodes=0, iters_per_evaluation=6)
    plain = train(tmp_path / "plain", 6 * ITERATION, config=config)
    config = dataclasses.replace(config, policy_average_samples=4.0 * ITERATION)
    trainer = train(tmp_path / "average", 6 * ITERATION, config=config)
    assert_same(dict(trainer.agent.state_dict()), dict(plain.agent.state_dict()))
    model = torch.load(tmp_path / "average" / "model.pt", weights_only=True)
    name = "_model._actor_layers.0.weight"
    assert not torch.equal(model[name], trainer.agent.state_dict()[name])
    samples, state = final_state(tmp_path / "average")
    path = checkpoints.checkpoint_path(tmp_path / "average" / "checkpoints", samples)
    assert_same(dict(state["agent"]), dict(model))
    assert_same(read_model_file(path).state, dict(model))  # a checkpoint acts as model.pt does
    assert_same(evaluated[-1], dict(model))


def test_the_adaptive_rate_is_logged_and_kept(tmp_path):
    optimizer = OptimizerConfig(type="Adam", learning_rate=1e-3, schedule="adaptive", desired_kl=1e-4)
    trainer = train(tmp_path, 8 * ITERATION, config=small_config(optimizer=optimizer))
    rates = [float(row["Learning_Rate"]) for row in log_rows(tmp_path)]
    assert len({1e-3, *rates}) > 2 and all(1e-5 <= rate <= 1e-2 for rate in rates)
    (group,) = final_state(tmp_path)[1]["optimizer"]["param_groups"]
    assert group["lr"] == pytest.approx(rates[-1], rel=1e-5)
    assert trainer.samples == 8 * ITERATION
    assert all(float(row["Kl"]) > 0 for row in log_rows(tmp_path))


@pytest.mark.parametrize(
    ("samples", "stds"),
    [
        (4 * ITERATION, {1: 0.2, 4: 0.125, 8: 0.1}),
        (None, {1: 0.2, 4: 0.2 - 0.1 * 3 / 7.2, 8: 0.2 - 0.1 * 7 / 7.2}),
    ],
    ids=["over its own samples", "with the training"],
)
def test_the_standard_deviation_falls_as_logged(tmp_path, samples, stds):
    config = small_config(model=model_of(action_std_end=0.1, action_std_anneal_samples=samples))
    trainer = train(tmp_path, 8 * ITERATION, config=config)
    rows = {int(row["Iteration"]): float(row["Action_Std"]) for row in log_rows(tmp_path)}
    assert rows == pytest.approx(stds, rel=1e-5)
    assert trainer.agent.model.head(torch.zeros(1, 16)).std[0].tolist() == pytest.approx([stds[8]] * 3)


def counted_evaluation():
    """Stands for the evaluation of all clips: how often it was called so far in this process."""
    calls = []

    def evaluate(env, agent, beat, world, heed, turn):
        calls.append(env.steps_taken)
        return {
            "Eval_Completed": 0.25, "Eval_Joint_Error": 0.1, "Eval_Return": float(env.steps_taken), "Eval_Clips": 4.0,
        }  # fmt: skip

    evaluate.calls = calls
    return evaluate


def test_clips_are_evaluated_first_last_and_now_and_then(tmp_path, monkeypatch):
    evaluate = counted_evaluation()
    monkeypatch.setattr(clip_evaluation, "evaluate_clips_in_training", evaluate)
    config = small_config(test_episodes=0, iters_per_evaluation=3, iters_per_output=1)
    train(tmp_path, 8 * ITERATION, config=config)
    assert evaluate.calls == [8 * n for n in (1, 3, 6, 8)]
    shown = [float(row["Eval_Return"]) / 8 for row in log_rows(tmp_path)]
    assert shown == [1, 1, 3, 3, 3, 6, 6, 8]
    assert {row["Eval_Completed"] for row in log_rows(tmp_path)} == {"0.25"}
    assert [event["Eval_Clips"] for event in events(tmp_path, "output")] == [4.0] * 8


def test_only_evaluations_that_are_due_in_every_training_are_heeded(tmp_path, monkeypatch):
    heeded = {}

    def evaluate(env, agent, beat, world, heed, turn):
        heeded[env.steps_taken // 8] = (heed, turn)
        return {"Eval_Return": 0.0}

    monkeypatch.setattr(clip_evaluation, "evaluate_clips_in_training", evaluate)
    env, config = FakeEnv(), small_config(test_episodes=0, iters_per_evaluation=4)
    train(tmp_path, 6 * ITERATION, env=env, config=config)
    # A longer training would not have the last one.
    assert heeded == {1: (True, 0), 4: (True, 1), 6: (False, 1)}


def test_without_evaluation_there_are_no_columns(tmp_path):
    train(tmp_path, 2 * ITERATION)
    assert not any(name.startswith("Eval_") for row in log_rows(tmp_path) for name in row)


def test_an_evaluation_of_before_is_shown_after_going_on(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_evaluation, "evaluate_clips_in_training", counted_evaluation())
    config = small_config(test_episodes=0, iters_per_evaluation=100, iters_per_output=1)
    train(tmp_path, 3 * ITERATION, config=config)
    train(tmp_path, 5 * ITERATION, config=config)
    assert [float(row["Eval_Return"]) / 8 for row in log_rows(tmp_path)] == [1, 1, 3, 3, 2]


def test_a_checkpoint_from_before_the_newer_keys_goes_on(tmp_path):
    """Older ones have no evaluation, and none of the newer settings in their fingerprint."""
    train(tmp_path, 3 * ITERATION, fingerprint={"agent.discount": "0.99"})
    _, path = checkpoints.list_checkpoints(tmp_path / "checkpoints")[0]
    state = checkpoints.load_checkpoint(path)
    del state["evaluation"], state["format"]
    checkpoints.save_checkpoint(tmp_path / "checkpoints", state, keep=3)
    assert train(tmp_path, 5 * ITERATION, fingerprint={"agent.discount": "0.99"}).samples == 5 * ITERATION


def test_newer_keys_count_in_the_fingerprint_only_where_they_are_set(monkeypatch):
    monkeypatch.setattr(fingerprint, "_content", lambda path: "content")
    args = TrainArgs(
        env_config="e", agent_config="a", output_dir="o", num_envs=8, max_samples=1, device="cpu"
    )
    env = EnvFileConfig()
    env = dataclasses.replace(
        env, env=dataclasses.replace(env.env, dm=dataclasses.replace(env.env.dm, motion_file=None))
    )
    before = fingerprint.training_fingerprint(args, env, AgentConfig(iters_per_evaluation=5))
    assert not {"agent.matmul_precision", "agent.optimizer.desired_kl", "agent.iters_per_evaluation"} & set(
        before
    )
    changed = fingerprint.training_fingerprint(args, env, AgentConfig(matmul_precision="bf16"))
    assert set(changed) - set(before) == {"agent.matmul_precision"}
