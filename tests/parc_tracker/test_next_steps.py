"""What commands say to do next."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from parc_tracker.main import app
from parc_tracker.next_steps import after_motions, after_run, after_training, say_next


def test_after_a_training(tmp_path, capsys):
    (tmp_path / "tensorboard").mkdir()
    say_next(after_training(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"next: evaluate     parc-tracker eval --model {tmp_path}/model.pt",
        f"      view         parc-tracker view {tmp_path}",
        f"      TensorBoard  tensorboard --logdir {tmp_path}/tensorboard",
    ]
    (tmp_path / "tensorboard").rmdir()
    assert "TensorBoard" not in after_training(tmp_path)


def test_after_a_run_the_registered_model_is_named(tmp_path):
    steps = after_run("demo", 3, tmp_path / "model.pt")
    assert steps["evaluate"] == "parc-tracker eval --model registry:demo@3"
    assert steps["view"] == "parc-tracker view registry:demo@3"


def test_a_store_that_the_user_has_not_set_is_named(tmp_path):
    steps = after_run("demo", 1, tmp_path / "model.pt", store="/my lab/store")
    assert steps["evaluate"] == "PARC_STORE='/my lab/store' parc-tracker eval --model registry:demo@1"
    assert steps["view"] == "PARC_STORE='/my lab/store' parc-tracker view registry:demo@1"


def test_names_with_spaces_are_quoted():
    assert after_motions(Path("my clips"))["view"] == "parc-tracker view 'my clips'"


def test_make_motions_says_how_to_view_and_train(tmp_path):
    out = tmp_path / "motions"
    result = CliRunner().invoke(app, ["make-motions", "--kind", "stand", "--count", "1", "--out", str(out)])
    assert result.exit_code == 0
    assert f"next: view         parc-tracker view {out}" in result.output
    assert f"DATA_DIR={tmp_path} parc-tracker train --config data/configs/cpu/tracker.yaml" in result.output
    as_json = CliRunner().invoke(
        app, ["make-motions", "--kind", "stand", "--count", "1", "--out", str(out), "--json"]
    )
    assert "next:" not in as_json.stdout
