"""`parc-tracker eval` of a model that was trained elsewhere."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from parc_core.config.resolve import write_yaml
from parc_core.config.train_args import TrainArgs, write_train_args
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import write_model_file
from parc_tracker.evaluate import trained_elsewhere
from parc_tracker.main import app
from tests.evaluation.sample_data import SMALL_NETS, make_env_file


def write_args(folder, engine, device):
    write_train_args(
        folder / "train_args.txt",
        TrainArgs(
            str(folder / "dm_env.yaml"),
            str(folder / "agent_config.yaml"),
            str(folder),
            engine=engine,
            device=device,
        ),
    )


def test_model_of_a_gpu_is_played_and_drawn_without_one(tmp_path):
    """Folder of a training with `engine: mujoco_warp`, `device: cuda:0`: numbers, page and video come from the CPU."""
    env_file = make_env_file(tmp_path / "motions", ["stand"])
    run = tmp_path / "run"
    run.mkdir()
    write_model_file(
        run / "model.pt", make_agent(make_evaluation_env(env_file, "mujoco"), SMALL_NETS.model, 10.0)
    )
    write_yaml(run / "dm_env.yaml", env_file)
    write_yaml(run / "agent_config.yaml", SMALL_NETS)
    write_args(run, "mujoco_warp", "cuda:0")
    result = CliRunner().invoke(app, ["eval", "--model", str(run / "model.pt")])
    assert result.exit_code == 0, result.output
    assert "note: trained with mujoco_warp on cuda:0, evaluated with mujoco on cpu" in result.output
    settings = json.loads((run / "evaluation" / "evaluation.json").read_text())["settings"]
    assert (settings["engine"], settings["device"]) == ("mujoco", "cpu")
    assert (run / "evaluation" / "report.html").is_file()
    assert list((run / "evaluation").glob("rollout.*"))


@pytest.mark.parametrize(
    ("trained", "played", "said"),
    [
        (("auto", "cuda:0"), ("auto", "cuda:0"), ""),
        (("auto", "cpu"), ("mujoco", "cpu"), ""),
        (
            ("auto", "cpu"),
            ("mujoco_warp", "cpu"),
            "trained with mujoco on cpu, evaluated with mujoco_warp on cpu",
        ),
    ],
)
def test_note_only_where_engine_or_device_differ(tmp_path, trained, played, said):
    assert trained_elsewhere(tmp_path, *played) == ""  # a model alone
    write_args(tmp_path, *trained)
    assert trained_elsewhere(tmp_path, *played).startswith(said) and bool(said) == bool(
        trained_elsewhere(tmp_path, *played)
    )


def test_arguments_of_another_program_are_no_hindrance(tmp_path):
    (tmp_path / "train_args.txt").write_text("--what_is_this 3\n")
    assert trained_elsewhere(tmp_path, "auto", "cpu") == ""
