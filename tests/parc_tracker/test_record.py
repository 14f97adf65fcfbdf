"""`parc-tracker record` and PARC's own command for it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.resolve import write_yaml
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.learning.model_file import write_model_file
from parc_core.playback.policy import load_policy
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store
from parc_tracker.main import app
from tests.evaluation.sample_data import SMALL_NETS, make_env_file


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training of two clips, whose untrained model performs both, since nothing ends an episode."""
    folder = tmp_path_factory.mktemp("trained")
    env_file = make_env_file(folder / "motions", ["stand", "walk"])
    env_file = dataclasses.replace(
        env_file, env=dataclasses.replace(env_file.env, enable_early_termination=False)
    )
    write_model_file(folder / "model.pt", load_policy(None, make_evaluation_env(env_file), SMALL_NETS))
    write_yaml(folder / "dm_env.yaml", env_file)
    write_yaml(folder / "agent_config.yaml", SMALL_NETS)
    return folder


def run(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["record", *args])
    assert result.exit_code == code, result.output + result.stderr
    return result.output if code == 0 else result.stderr


def recorded(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*_dm.pkl"))


BOTH = ["recorded_motions/stand/stand_0_dm.pkl", "recorded_motions/walk/walk_0_dm.pkl"]


def test_a_model_beside_its_configs(trained: Path, tmp_path: Path) -> None:
    shown = run("--model", str(trained / "model.pt"), "--out", str(tmp_path / "out"))
    assert "stand" in shown and "2 of 2" in shown
    assert recorded(tmp_path / "out") == BOTH
    again = json.loads(run("--model", str(trained / "model.pt"), "--out", str(tmp_path / "out"), "--json"))
    assert again["complete"] and again["summary"]["recorded"] == 2
    assert again["files"] == {"recordings": str(tmp_path / "out" / "recorded_motions")}


def test_parcs_config_and_command(trained: Path, tmp_path: Path) -> None:
    """PARC's six keys: the dataset is made of folders, as its stage 4 does."""
    dataset = {"folder_paths": [str(trained / "motions")], "save_path": str(tmp_path / "unused.yaml")}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(dataset))
    (trained / "motions" / "walk" / "torn.pkl").write_bytes(b"torn")
    config = {
        "output_dir": str(tmp_path / "out"),
        "device": "cpu",
        "create_dataset_config": str(tmp_path / "dataset.yaml"),
        "model_file": str(trained / "model.pt"),
        "env_file": str(trained / "dm_env.yaml"),
        "agent_file": str(trained / "agent_config.yaml"),
    }
    (tmp_path / "phys_record.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, str(PROJECT_ROOT / "scripts/parc_4_phys_record.py")]
    done = subprocess.run(  # noqa: PLW1510 - the exit code is looked at
        [*command, "--config", str(tmp_path / "phys_record.yaml")], capture_output=True, text=True
    )
    (trained / "motions" / "walk" / "torn.pkl").unlink()
    assert done.returncode == 0, done.stderr
    assert "torn.pkl" in done.stdout and "2 of 2" in done.stdout
    assert recorded(tmp_path / "out") == BOTH
    assert not (tmp_path / "unused.yaml").exists()
    made = yaml.safe_load((tmp_path / "out" / "create_dataset_config.yaml").read_text())
    assert made["folder_paths"] == [str(trained / "motions")]
    assert made["save_path"] == str(tmp_path / "out" / "motions.yaml")
    assert (tmp_path / "out" / "record_env.yaml").is_file()
    arguments = (tmp_path / "out" / "record_args.txt").read_text()
    assert f"--model_file {trained / 'model.pt'}" in arguments


@pytest.mark.parametrize("dataset", ["motions", "motions/motions.yaml"])
def test_a_folder_or_file_of_motions(trained: Path, tmp_path: Path, dataset: str) -> None:
    out = tmp_path / "out"
    run("--model", str(trained / "model.pt"), "--dataset", str(trained / dataset), "--out", str(out))
    assert recorded(out) == BOTH


def test_everything_in_object_storage(trained: Path, tmp_path: Path, s3_url: str, monkeypatch) -> None:
    """Model, motions and output; a second machine finds the recording there and has nothing to do."""
    place = Store(s3_url)
    for name in ("model.pt", "dm_env.yaml", "agent_config.yaml"):
        place.put_file(trained / name, f"trained/{name}")
    for kind in ("stand", "walk"):
        place.put_file(trained / f"motions/{kind}/{kind}_0.pkl", f"motions/{kind}/{kind}_0.pkl")
    monkeypatch.setenv("PARC_STORE", s3_url)
    arguments = ["--model", f"{s3_url}/trained/model.pt", "--dataset", f"{s3_url}/motions"]
    for machine in ("one", "two"):
        monkeypatch.setenv("PARC_WORK", str(tmp_path / machine))
        found = json.loads(run(*arguments, "--out", f"{s3_url}/recorded", "--json"))
        assert found["summary"]["recorded"] == 2
    listed = [key for key in place.list("recorded") if key.endswith(".pkl") and "_dm" in key]
    assert sorted(listed) == [f"recorded/{path}" for path in BOTH]
    assert place.read_json("recorded/recording.json")["complete"]


def test_a_dataset_file_in_object_storage(trained: Path, tmp_path: Path, s3_url: str, monkeypatch) -> None:
    place = Store(s3_url)
    entries = []
    for kind in ("stand", "walk"):
        place.put_file(trained / f"motions/{kind}/{kind}_0.pkl", f"motions/{kind}_0.pkl")
        entries.append({"file": f"../../motions/{kind}_0.pkl", "weight": 1.0})
    place.put_bytes(yaml.safe_dump({"motions": entries}).encode(), "datasets/k/motions.yaml")
    out = tmp_path / "out"
    run(
        "--model",
        str(trained / "model.pt"),
        "--dataset",
        f"{s3_url}/datasets/k/motions.yaml",
        "--out",
        str(out),
    )
    assert [path.rpartition("/")[2] for path in recorded(out)] == ["stand_0_dm.pkl", "walk_0_dm.pkl"]


def test_a_model_of_the_registry_with_its_motions(trained: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "store"))
    files = {name: trained / name for name in ("model.pt", "dm_env.yaml", "agent_config.yaml")}
    register_model(Store(), "walker", files, {"lineage": {}, "metrics": {}})
    run("--model", "registry:walker@latest", "--out", str(tmp_path / "out"))
    assert len(recorded(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "{tmp}/out"], 78, "--model is missing"),
        (["--model", "{model}"], 78, "--out is missing"),
        (["--model", "{tmp}/nope.pt", "--out", "{tmp}/out"], 78, "nope.pt, which does not exist"),
        (["--model", "registry:nobody", "--out", "{tmp}/out"], 65, "nobody"),
        (["--model", "{model}", "--out", "{tmp}/out", "--dataset", "{tmp}/none"], 78, "dataset_file"),
        (["--model", "{model}", "--out", "{tmp}/out", "--dataset", "{tmp}/empty"], 65, "empty"),
        (["--model", "{model}", "--out", "{tmp}/out", "--limit", "jerk"], 78, "write NAME=NUMBER"),
        (["--model", "{model}", "--out", "{tmp}/out", "--limit", "jerk=3"], 78, "there is no metric 'jerk'"),
        (["--model", "{model}", "--out", "{tmp}/out", "--device", "cuda:7"], 78, "cuda:7"),
        pytest.param(
            ["--model", "{model}", "--out", "{tmp}/out", "--limit", "jerk_m_s3=0"],
            65,
            "none of 2 motions was",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_input_is_one_line(trained: Path, tmp_path: Path, monkeypatch, arguments, code, message) -> None:
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "store"))
    (tmp_path / "empty").mkdir()
    filled = [text.format(tmp=tmp_path, model=trained / "model.pt") for text in arguments]
    said = run(*filled, code=code)
    assert message in said
    assert said.startswith("error: ") and said.count("\n") == 1


def test_a_model_of_another_observation_is_refused(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    env = yaml.safe_load((trained / "dm_env.yaml").read_text())
    env["env"]["root_height_obs"] = True
    (folder / "dm_env.yaml").write_text(yaml.safe_dump(env))
    (folder / "model.pt").write_bytes((trained / "model.pt").read_bytes())
    said = run("--model", str(folder / "model.pt"), "--out", str(tmp_path / "out"), code=78)
    assert "takes 1312 observations" in said and said.count("\n") == 1


def test_a_full_disk_is_said(trained: Path, tmp_path: Path, monkeypatch) -> None:
    from parc_core.recording import recorder
    from parc_core.system.files import unwritable

    def full(path, data):
        raise unwritable(path, OSError(28, "No space left on device"))

    monkeypatch.setattr(recorder, "write_bytes", full)
    said = run("--model", str(trained / "model.pt"), "--out", str(tmp_path / "out"), code=78)
    assert "No space left on device" in said and said.count("\n") == 1


def test_no_room_in_earnest_and_then_room_again(trained: Path, tmp_path: Path) -> None:
    """Files of 8 kB at most in a process of its own; with room, the same command resumes."""
    out, program = tmp_path / "out", "from parc_tracker.main import app; app()"
    limit = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (8192, 8192)); "
    arguments = ["record", "--model", str(trained / "model.pt"), "--out", str(out)]
    done = subprocess.run(  # noqa: PLW1510 - the exit code is looked at
        [sys.executable, "-c", limit + program, *arguments], capture_output=True, text=True, cwd=PROJECT_ROOT
    )
    assert done.returncode == 78, done.stderr
    assert "File too large" in done.stderr and "Traceback" not in done.stderr
    assert recorded(out) == []
    run(*arguments[1:])
    assert recorded(out) == BOTH


@pytest.mark.slow
def test_killed_in_the_middle(trained: Path, tmp_path: Path) -> None:
    """SIGKILL as soon as the first recording is there: the same files as without it, byte for byte."""
    arguments = ["record", "--model", str(trained / "model.pt"), "--num-envs", "1", "--out"]
    run(*arguments[1:], str(tmp_path / "whole"))
    program = """
import os, signal
from parc_core.recording import recorder
write = recorder.write_bytes
def last(path, data):
    write(path, data)
    os.kill(os.getpid(), signal.SIGKILL)
recorder.write_bytes = last
from parc_tracker.main import app
app()
"""
    out = tmp_path / "killed"
    done = subprocess.run(  # noqa: PLW1510 - the exit code is looked at
        [sys.executable, "-c", program, *arguments, str(out)], cwd=PROJECT_ROOT, capture_output=True
    )
    assert done.returncode == -9 and len(recorded(out)) == 1
    run(*arguments[1:], str(out))
    for name in BOTH:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
