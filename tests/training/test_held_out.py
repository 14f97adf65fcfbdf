"""Clips that the training never sees: evaluated with the others, without a trace in what is learned."""

from __future__ import annotations

import dataclasses
import math

from parc_core.config.agent_config import AgentConfig, ModelConfig
from parc_core.config.train_args import TrainArgs, format_train_args, read_train_args
from parc_core.train import train
from parc_core.training import checkpoint as checkpoints
from parc_core.training.fingerprint import training_fingerprint
from tests.envs.scenes import env_file, motion, shortened, write_dataset
from tests.training.test_trainer import assert_same, log_rows

AGENT = AgentConfig(
    model=ModelConfig(actor_net="fc_1layers_16units", critic_net="fc_1layers_16units"),
    steps_per_iter=4,
    update_epochs=1,
    iters_per_output=1,
    iters_per_checkpoint=100,
    iters_per_evaluation=2,
    test_episodes=0,
    use_tensorboard=False,
)


def _args(tmp_path, name, **changes):
    from parc_core.config.resolve import write_yaml

    write_yaml(tmp_path / "agent.yaml", AGENT)
    write_yaml(tmp_path / "env.yaml", env_file(tmp_path / "seen" / "motions.yaml"))
    return TrainArgs(
        **{
            "env_config": str(tmp_path / "env.yaml"),
            "agent_config": str(tmp_path / "agent.yaml"),
            "output_dir": str(tmp_path / name),
            "num_envs": 2,
            "max_samples": 24,
            "device": "cpu",
            "engine": "mujoco",
            **changes,
        }
    )


def test_they_are_evaluated_and_change_nothing(tmp_path):
    for name, kinds in (("seen", ["stand"]), ("unseen", ["squat", "turn", "walk"])):
        (tmp_path / name).mkdir()
        write_dataset(tmp_path / name, {kind: shortened(motion(kind), 12) for kind in kinds})
    unseen = str(tmp_path / "unseen" / "motions.yaml")
    train(_args(tmp_path, "without"))
    train(_args(tmp_path, "with", held_out_dataset=unseen))
    rows = log_rows(tmp_path / "with")
    assert [row["Held_Out_Clips"] for row in rows] == ["2"] * 3  # as many as there are environments
    assert all(0 <= float(row["Held_Out_Completed"]) <= 1 for row in rows)
    assert (
        math.isfinite(float(rows[-1]["Held_Out_Return"]))
        and rows[-1]["Held_Out_Return"] != rows[-1]["Eval_Return"]
    )
    assert not any(name.startswith("Held_Out") for row in log_rows(tmp_path / "without") for name in row)
    with_, without = (
        checkpoints.load_checkpoint(checkpoints.list_checkpoints(tmp_path / name / "checkpoints")[0][1])
        for name in ("with", "without")
    )
    for state in (with_, without):
        del state["hours"], state["evaluation"]
    assert_same(with_, without)
    # A training that went on without them has the columns from there on.
    train(_args(tmp_path, "without", held_out_dataset=unseen, max_samples=32))
    assert log_rows(tmp_path / "without")[-1]["Held_Out_Clips"] == "2"


def test_the_argument_is_written_where_it_is_set_and_shapes_nothing(tmp_path, monkeypatch):
    (tmp_path / "seen").mkdir()
    write_dataset(tmp_path / "seen", {"stand": motion("stand")})
    args = _args(tmp_path, "out")
    assert "held_out" not in format_train_args(args)
    with_held_out = dataclasses.replace(args, held_out_dataset="/data/held_out.yaml")
    (tmp_path / "train_args.txt").write_text(format_train_args(with_held_out))
    assert read_train_args(tmp_path / "train_args.txt") == with_held_out
    scene = env_file(tmp_path / "seen" / "motions.yaml")
    assert training_fingerprint(args, scene, AGENT) == training_fingerprint(with_held_out, scene, AGENT)
