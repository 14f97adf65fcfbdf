"""`trainer_python`: what is missing is said before training; Python 3.8 trains what the flow on 3.11 asks for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError
from parc_core.supervisor import probe
from parc_core.supervisor.interpreter import check_trainer_python
from parc_core.supervisor.preflight import check_runnable
from tests.pipeline_fixtures import change

PYTHON38 = PROJECT_ROOT / ".venv38/bin/python"
needs_python38 = pytest.mark.skipif(
    not (PROJECT_ROOT / ".venv38/.ready").exists(), reason="no .venv38 (make test-py38 makes it)"
)


def script(folder: Path, body: str) -> Path:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    os.chmod(path, 0o755)
    return path


def test_this_interpreter_can_train():
    version = check_trainer_python(sys.executable, "mujoco", "cpu", "t.yaml")
    assert version == "{}.{}.{}".format(*sys.version_info)


def test_a_missing_package_comes_with_the_command_that_mends_it(tmp_path, tracker_config):
    (tmp_path / "yaml.py").write_text("raise ImportError('no yaml\\nhere')")
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    python = script(tmp_path, f'PYTHONPATH={tmp_path} exec {sys.executable} "$@"')
    with pytest.raises(ConfigError) as caught:
        check_runnable(change(tracker_config, trainer_python=str(python)))
    text = str(caught.value)
    assert (
        f"'trainer_python' names {python}, which cannot train: torch: no torch here; yaml: no yaml here"
        in text
    )
    assert text.endswith(f"run: {sys.executable} -m pip install 'torch>=1.13' pyyaml")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("engine", "device", "words"),
    [
        ("isaac_gym", "cpu", "isaacgym.gymapi: No module named 'isaacgym'; run: "),
        ("mujoco", "cuda:77", "'device' is 'cuda:77'"),
    ],
)
def test_engine_and_device_are_asked_there(engine, device, words):
    if engine == "isaac_gym" and not probe.import_error("isaacgym"):
        pytest.skip("Isaac Gym is installed")
    with pytest.raises(ConfigError, match="which cannot train: ") as caught:
        check_trainer_python(sys.executable, engine, device, "t.yaml")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [("echo hello; exit 3", "ended with 3"), ("echo broken >&2; exit 1", "(broken); name a Python")],
)
def test_what_is_no_python_is_refused(tmp_path, body, words):
    with pytest.raises(ConfigError) as caught:
        check_trainer_python(str(script(tmp_path, body)), "mujoco", "cpu", "t.yaml")
    assert words in str(caught.value)


def test_what_cannot_be_started_is_refused(tmp_path):
    (tmp_path / "python").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be started \(Permission denied\); correct the path"):
        check_trainer_python(str(tmp_path / "python"), "mujoco", "cpu", "t.yaml")


def killed_once(folder: Path, store: Path) -> Path:
    """Python 3.8 whose first training is killed (SIGKILL) as soon as it has written a checkpoint."""
    return script(
        folder,
        f"""{PYTHON38} -V >> {folder}/used
[ "$1" = -m ] && mkdir {folder}/killed 2>/dev/null || exec {PYTHON38} "$@"
{PYTHON38} "$@" &
until ls {store}/runs/*/checkpoints/checkpoint_*.pt.sha256 >/dev/null 2>&1; do sleep 0.02; done
kill -9 $! $$""",
    )


@needs_python38
@pytest.mark.slow
def test_the_flow_trains_with_python_38_and_goes_on_when_that_is_killed(
    tracker_config, prefect_server, store, tmp_path, monkeypatch
):
    import tasks.train
    from flows.tracker_iteration import tracker_iteration
    from parc_core.storage.references import local_path

    monkeypatch.setattr(tasks.train, "BACK_OFF", (0.01,))
    assert check_trainer_python(str(PYTHON38), "mujoco", "cpu", "t.yaml").startswith("3.8.")
    python = killed_once(tmp_path, store)
    result = tracker_iteration(str(change(tracker_config, trainer_python=str(python), max_samples=1024)))
    assert (tmp_path / "killed").is_dir()
    assert all(line.startswith("Python 3.8.") for line in (tmp_path / "used").read_text().splitlines())
    assert result["training"]["samples"] == 1024
    folder = local_path(result["training"]["model"]).parent
    events = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    starts = [event for event in events if event["event"] == "start"]
    assert len(starts) == 2 and "checkpoint_" in json.dumps(starts[1]), starts
    assert result["after"]["report"]  # evaluated by the flow's own Python


@needs_python38
@pytest.mark.slow
def test_both_pythons_go_on_from_each_others_checkpoints(tracker_config, store):
    """`parc-tracker train`: PyTorch of today, 1.13, and today's again, in one folder."""
    from parc_core.supervisor.local_training import train_from_config
    from parc_core.supervisor.supervise import Listener
    from parc_core.training.checkpoint import load_checkpoint

    folders = set()
    for samples, python in ((64, sys.executable), (128, str(PYTHON38)), (192, sys.executable)):
        config = change(tracker_config, max_samples=samples, trainer_python=python)
        folders.add(train_from_config(config, Listener()))
        (folder,) = folders
        assert load_checkpoint(folder / "checkpoints" / f"checkpoint_{samples}.pt")["samples"] == samples
    events = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    starts = [json.dumps(event) for event in events if event["event"] == "start"]
    assert len(starts) == 3 and "checkpoint_64.pt" in starts[1] and "checkpoint_128.pt" in starts[2]
