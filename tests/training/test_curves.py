"""TensorBoard's tags, settings, and evaluations beside the curves."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.training.columns import (
    EPISODE_COLUMNS,
    EVALUATION_COLUMNS,
    LOSS_COLUMNS,
    TEST_COLUMNS,
    title,
)
from parc_core.training.curves import HEADLINES, Curves, hyper_parameters, tag, write_evaluation
from parc_core.training.log_row import FAIL_COLUMNS

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
ALL = {"scalars": 0, "images": 0}


def read(folder: Path):
    return event_accumulator.EventAccumulator(str(folder), ALL).Reload()


def test_every_column_has_one_group():
    groups = {
        "Episodes": EPISODE_COLUMNS,
        "Test": TEST_COLUMNS,
        "Evaluation": EVALUATION_COLUMNS,
        "Reward": (*TERM_COLUMNS, "my_own_r"),
        "Failures": FAIL_COLUMNS,
        "Failure_Rates": ("Fail_Rate_Mean", "Fail_Rate_Q95"),
        "Loss": ("Loss", "Actor_Loss", "Critic_Loss"),
        "Update": ("Kl", "Clip_Frac", "Learning_Rate", "Grad_Norm"),
        "Run": ("Iteration", "Wall_Time", "Samples_Per_Second", "Rollbacks"),
        "Physics": ("Diverged", "Contact_Overflows", "Window_Exits"),
    }
    for group, columns in groups.items():
        assert [tag(column) for column in columns] == [f"{group}/{column}" for column in columns]
    assert {tag(title(name)).split("/")[0] for name in LOSS_COLUMNS} == {"Loss", "Update"}


def test_settings_are_numbers_truth_values_and_texts():
    found = hyper_parameters(
        {"agent.discount": "0.99", "seed": "3", "agent.x": "True", "env.mode": "'residual'", "engine": "mujoco",
         "env.list": "[1.0, 2.0]", "none": "None", "inf": "1e999", "long": "x" * 999}
    )  # fmt: skip
    assert found["agent.discount"] == 0.99
    assert (found["seed"], found["agent.x"], found["env.mode"], found["engine"]) == (
        3,
        True,
        "residual",
        "mujoco",
    )
    assert (found["env.list"], found["none"], found["inf"]) == ("[1.0, 2.0]", "None", "1e999")
    assert len(found["long"]) == 200


def test_settings_are_once_in_the_file_whatever_is_written_anew(tmp_path):
    curves = Curves(tmp_path, print, {"seed": 3, "agent.discount": 0.9})
    curves.start([])
    curves.add({"Samples": 1, "Train_Return": 5.0, "Eval_Return": math.nan})
    curves.start([{"Samples": 1, "Train_Return": 5.0}])  # as after a rollback
    curves.close()
    found = read(tmp_path)
    assert found.Tags()["scalars"] == ["Episodes/Train_Return"]  # no points of its own
    content = found.summary_metadata
    plugins = {name: data.plugin_data.plugin_name for name, data in content.items()}
    assert {name for name, plugin in plugins.items() if plugin == "hparams"} == {
        "_hparams_/experiment",
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    }
    from tensorboard.plugins.hparams.metadata import (
        parse_experiment_plugin_data,
        parse_session_start_info_plugin_data,
    )

    experiment = parse_experiment_plugin_data(content["_hparams_/experiment"].plugin_data.content)
    assert {each.name.tag for each in experiment.metric_infos} == {tag(name) for name in HEADLINES}
    start = parse_session_start_info_plugin_data(content["_hparams_/session_start_info"].plugin_data.content)
    assert start.hparams["seed"].number_value == 3
    assert len(list(tmp_path.glob("events*"))) == 1


def test_an_evaluation_is_a_run_of_its_own_with_its_video(tmp_path):
    gif = tmp_path / "rollout.gif"
    gif.write_bytes(b"GIF89a...")
    for completed in (0.25, 0.5):  # the last one stays
        numbers = {"Eval_Completed": completed, "Eval_Joint_Error": math.nan}
        assert write_evaluation(tmp_path, "evaluation", numbers, 640, gif)
    found = read(tmp_path / "evaluation")
    assert found.Tags()["scalars"] == ["Evaluation/Eval_Completed"]
    [point] = found.Scalars("Evaluation/Eval_Completed")
    assert (point.step, point.value) == (640, 0.5)
    [image] = found.Images("Evaluation/video")
    assert (image.step, image.encoded_image_string) == (640, b"GIF89a...")
    Curves(tmp_path, print).start([])  # a training that is resumed
    assert read(tmp_path / "evaluation").Tags()["scalars"] == ["Evaluation/Eval_Completed"]
