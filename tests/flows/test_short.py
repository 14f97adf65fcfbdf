"""The whole flow once, as short as it can be; the longer ways are beside it, marked `slow`."""

from __future__ import annotations

import pytest

from flows.tracker_iteration import tracker_iteration
from parc_core.registry.models import resolve_model
from parc_core.storage.references import local_path
from parc_core.storage.store import Store
from tests.pipeline_fixtures import change


@pytest.mark.usefixtures("prefect_server")
def test_from_folders_to_a_registered_model(tracker_config, store):
    config = str(change(tracker_config, max_samples=64))
    first = tracker_iteration(config)
    folder = store / "runs" / first["training"]["run_key"]
    assert (folder / "checkpoints" / "checkpoint_64.pt").is_file()
    assert first["training"]["samples"] == 64
    manifest = resolve_model(Store(), "tiny")
    assert (manifest["version"], manifest["metrics"]["after"]["clips"]) == (1, 2)
    assert "<h1>tiny</h1>" in local_path(first["after"]["report"]).read_text()
    assert tracker_iteration(config) == first
