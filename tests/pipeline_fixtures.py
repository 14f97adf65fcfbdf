"""A small pipeline: two synthetic motions, tiny networks, a store and a Prefect server of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic import make_motion
from parc_core.storage.references import work_folder

PROBE = f'[ "$1" = -m ] || exec {sys.executable} "$@"\n'
"""For scripts that play the trainer: the questions before training are answered by this interpreter."""


@pytest.fixture(scope="session")
def session_server():
    """One temporary server for all flow tests of this worker."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=90):
        yield


@pytest.fixture
def prefect_server(session_server):
    """It, for a test. What Prefect keeps running in this process ends with the test: the pings of its connection for
    events draw from `random`, whose state the tests of exact resuming compare."""
    from prefect.events.worker import EventsWorker

    yield
    EventsWorker.drain_all()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PARC_INDEX", str(tmp_path / "index.json"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return work_folder()


def write_yaml(path: Path, data: dict) -> Path:
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture
def motions(tmp_path: Path) -> Path:
    """A folder of two classes with one motion each."""
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    for kind in ("stand", "walk"):
        path = tmp_path / "motions" / kind / f"{kind}_0.pkl"
        path.parent.mkdir(parents=True)
        write_motion_terrain(path, make_motion(kind, 0, character))
    return tmp_path / "motions"


@pytest.fixture
def tracker_config(tmp_path: Path, motions: Path, store: Path) -> Path:
    """A tracker config that trains for some hundred samples."""
    dataset = {"folder_paths": [str(motions)], "save_path": str(tmp_path / "dataset")}
    agent = {
        "model": {"actor_net": "fc_2layers_64units", "critic_net": "fc_2layers_64units"},
        "optimizer": {"type": "Adam", "learning_rate": 0.0005},
        "steps_per_iter": 8,
        "update_epochs": 1,
        "iters_per_output": 1,
        "iters_per_checkpoint": 1,
        "test_episodes": 0,
        "use_tensorboard": False,
    }
    tracker = {
        "env_config": str(PROJECT_ROOT / "data/configs/demo/env.yaml"),
        "agent_config": str(write_yaml(tmp_path / "agent.yaml", agent)),
        "create_dataset_config": str(write_yaml(tmp_path / "dataset.yaml", dataset)),
        "num_envs": 8,
        "max_samples": 128,
        "device": "cpu",
        "engine": "mujoco",
        "model_name": "tiny",
    }
    return write_yaml(tmp_path / "tracker.yaml", tracker)


def change(config: Path, **values) -> Path:
    """The config with other values."""
    return write_yaml(config, {**yaml.safe_load(config.read_text()), **values})
