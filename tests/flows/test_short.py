"""The whole flow once, as short as it can be; the longer ways are beside it, marked `slow`."""

from __future__ import annotations

import shutil
from dataclasses import asdict

import pytest

from flows.tracker_iteration import tracker_iteration
from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import load_env_config
from parc_core.evaluation.evaluate import evaluate_model
from parc_core.pull import pull_model
from parc_core.registry.models import resolve_model
from parc_core.storage.references import local_path
from parc_core.storage.store import Store
from tests.pipeline_fixtures import change


@pytest.mark.usefixtures("prefect_server")
def test_from_folders_to_a_registered_model(tracker_config, store, tmp_path):
    config = str(change(tracker_config, max_samples=64))
    first = tracker_iteration(config)
    folder = store / "runs" / first["training"]["run_key"]
    assert (folder / "checkpoints" / "checkpoint_64.pt").is_file()
    assert first["training"]["samples"] == 64
    manifest = resolve_model(Store(), "tiny")
    assert (manifest["version"], manifest["metrics"]["after"]["clips"]) == (1, 2)
    assert "<h1>tiny</h1>" in local_path(first["after"]["report"]).read_text()
    assert tracker_iteration(config) == first

    # Pulled with its motions it needs nothing of the store.
    out = tmp_path / "out"
    pull_model(Store(), manifest, out, with_dataset=True)
    shutil.rmtree(store)
    shutil.rmtree(tmp_path / "motions")
    env_file, agent = load_env_config(out / "dm_env.yaml"), load_agent_config(out / "agent_config.yaml")
    again = evaluate_model(out / "model.pt", env_file, agent_config=agent, engine="mujoco")
    assert asdict(again.summary) == manifest["metrics"]["after"]
    assert [clip.name for clip in again.clips] == ["stand/stand_0", "walk/walk_0"]
