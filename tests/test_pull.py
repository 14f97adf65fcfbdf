"""`parc-tracker models pull`: the folder is enough to evaluate the model, whatever became of the store."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.resolve import write_yaml
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import write_model_file
from parc_core.pull import pull_model
from parc_core.registry.models import resolve_model
from parc_core.storage.store import Store
from parc_tracker.main import app
from tests.evaluation.sample_data import SMALL_NETS, make_env_file


def run(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(args))
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all the rest."""
    from parc_core.video.video import Recording

    monkeypatch.setattr(
        "parc_core.video.video.record_rollout", lambda *_, **__: Recording(None, [], "not drawn in this test")
    )


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a training on `motions`, with a character of its own; nothing of it is in the store."""
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    env_file = make_env_file(tmp_path / "motions", ["stand", "walk"])
    own = tmp_path / "robots" / "mine.xml"
    own.parent.mkdir()
    shutil.copyfile(PROJECT_ROOT / "data/assets/humanoid.xml", own)
    env_file = dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, char_file=str(own)))
    folder = tmp_path / "run"
    folder.mkdir()
    agent = make_agent(make_evaluation_env(env_file, "mujoco"), SMALL_NETS.model, 10.0)
    write_model_file(folder / "model.pt", agent)
    write_yaml(folder / "dm_env.yaml", env_file)
    write_yaml(folder / "agent_config.yaml", SMALL_NETS)
    run("models", "register", "tiny", "--from", str(folder))
    return folder


def take_away(tmp_path: Path) -> Path:
    """Only the pulled folder is left, at another place."""
    for name in ("store", "motions", "robots", "run"):
        shutil.rmtree(tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    return Path(shutil.move(str(tmp_path / "out"), str(tmp_path / "elsewhere" / "tiny")))


@pytest.mark.slow
def test_with_its_motions(training: Path, tmp_path: Path) -> None:
    before = json.loads(run("eval", "--model", str(training / "model.pt"), "--json"))
    of_registry = json.loads(run("eval", "--model", "registry:tiny", "--out", "of_registry", "--json"))
    assert of_registry["summary"] == before["summary"]
    out = run("models", "pull", "tiny", "--to", "out", "--with-dataset")
    assert str(Path("out/character.xml")) in out
    folder = take_away(tmp_path)
    named = yaml.safe_load((folder / "dm_env.yaml").read_text())["env"]
    assert (named["char_file"], named["dm"]["motion_file"]) == ("character.xml", "dataset/motions.yaml")
    after = json.loads(run("eval", "--model", str(folder / "model.pt"), "--json"))
    assert after["clips"] == before["clips"]
    assert after["summary"] == before["summary"]


def test_a_checkpoint_has_the_configs_of_its_training(training: Path) -> None:
    (training / "checkpoints").mkdir()
    shutil.copyfile(training / "model.pt", training / "checkpoints" / "checkpoint_64.pt")
    found = json.loads(run("eval", "--model", "run/checkpoints/checkpoint_64.pt", "--json"))
    assert found["files"]["numbers"] == str(training / "evaluation" / "checkpoint_64" / "evaluation.json")


def test_without_its_motions(training: Path, tmp_path: Path) -> None:
    run("models", "pull", "tiny", "--to", "out")
    shutil.copytree(tmp_path / "motions", tmp_path / "others")
    folder = take_away(tmp_path)
    error = run("eval", "--model", str(folder / "model.pt"), code=78)
    assert "--with-dataset" in error and "--dataset" in error and error.count("\n") == 1
    (tmp_path / "others" / "motions.yaml").unlink()
    (tmp_path / "others" / "walk" / "broken.pkl").write_bytes(b"x")
    (tmp_path / "others" / "walk" / "stand_0.pkl").write_bytes(
        (tmp_path / "others/stand/stand_0.pkl").read_bytes()
    )
    result = CliRunner().invoke(
        app, ["eval", "--model", str(folder / "model.pt"), "--dataset", "others", "--json"]
    )
    assert result.exit_code == 0, result.output
    clips = json.loads(result.stdout)["clips"]
    assert [clip["name"] for clip in clips] == ["stand/stand_0", "walk/stand_0", "walk/walk_0"]
    assert "skipped: " in result.stderr and "broken.pkl" in result.stderr
    (tmp_path / "empty").mkdir()
    assert "holds no motion" in run(
        "eval", "--model", str(folder / "model.pt"), "--dataset", "empty", code=65
    )


def test_what_an_earlier_pull_left_is_said(training: Path, tmp_path: Path) -> None:
    """Else the model would be evaluated on another one's motions, or with its character, without a word."""
    run("models", "pull", "tiny", "--to", "out", "--with-dataset")
    result = CliRunner().invoke(app, ["models", "pull", "tiny", "--to", "out"])
    assert "is of an earlier pull" in result.stderr
    store = Store()
    manifest = resolve_model(store, "tiny")
    del manifest["files"]["character.xml"]  # as earlier versions registered
    shutil.rmtree(tmp_path / "robots")
    pull_model(store, manifest, tmp_path / "out")
    assert "mine.xml" in yaml.safe_load((tmp_path / "out" / "dm_env.yaml").read_text())["env"]["char_file"]


def test_motions_that_changed_are_not_taken_for_those_of_the_training(training: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "motions")
    assert "which is not here" in run("models", "pull", "tiny", "--to", "out", "--with-dataset", code=65)


@pytest.mark.parametrize(
    ("model", "said"),
    [("nope.pt", "does not exist"), (".", "is a folder"), ("registry:tiny@9", "'9'")],
)
def test_a_model_that_is_not_there_is_named(training: Path, model: str, said: str) -> None:
    error = run("eval", "--model", model, code=65 if ":" in model else 78)
    assert said in error and "--env-config" not in error
    assert ":" in model or "'--model' names" in error


def test_what_else_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "'STATE' names" in run("replay", "nope.pt", code=78)
    assert "no such folder" in run("models", "register", "tiny", "--from", "nope", code=65)
