"""The flow from motion folders to a registered model, with a real training of some hundred samples."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import tasks.train
from flows.tracker_iteration import tracker_iteration
from parc_core import __version__
from parc_core.errors import DataError
from parc_core.registry.models import resolve_model
from parc_core.storage.references import local_path
from parc_core.storage.store import Store
from tests.pipeline_fixtures import PROBE, change

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def trainer_starts(run_dir: str) -> int:
    """How often a trainer has started in the folder."""
    text = (Path(run_dir) / "progress.jsonl").read_text()
    return sum(json.loads(line)["event"] == "start" for line in text.splitlines())


def test_from_folders_to_a_registered_model_and_again_from_the_cache(tracker_config, store, tmp_path):
    first = tracker_iteration(str(tracker_config))
    run_dir = store / "runs" / first["training"]["run_key"]
    for name in ("model.pt", "dm_env.yaml", "agent_config.yaml", "log.txt", "train_args.txt", "terrain.pkl"):
        assert (run_dir / name).is_file(), name
    assert (run_dir / "checkpoints" / "checkpoint_128.pt").is_file()
    assert first["training"]["samples"] == 128
    manifest = resolve_model(Store(), "tiny")
    assert manifest["version"] == 1
    assert manifest["lineage"]["dataset"]["sha256"] == first["dataset"]["sha256"]
    assert manifest["lineage"]["parent"] is None
    assert manifest["lineage"]["parc_tracker"] == __version__
    assert manifest["action_mode"] == "residual"
    assert "<h1>tiny</h1>" in local_path(first["after"]["report"]).read_text()
    assert manifest["metrics"]["after"]["clips"] == 2

    assert tracker_iteration(str(tracker_config)) == first
    assert trainer_starts(str(run_dir)) == 1

    # What vanished is made again; everything else stays as it was.
    local_path(first["model"]["model"]).unlink()
    assert tracker_iteration(str(tracker_config))["model"]["version"] == 2
    assert trainer_starts(str(run_dir)) == 1

    # Longer: the same folder, from its checkpoint. Another seed: another folder.
    longer = tracker_iteration(str(change(tracker_config, max_samples=256)))["training"]
    assert (longer["run_key"], longer["samples"]) == (run_dir.name, 256)
    assert "checkpoint_128.pt" in (run_dir / "progress.jsonl").read_text()
    other = tracker_iteration(str(change(tracker_config, seed=1, max_samples=64)))["training"]
    assert other["run_key"] != run_dir.name


def test_output_dir_and_a_given_dataset(tracker_config, store, tmp_path):
    first = tracker_iteration(str(change(tracker_config, max_samples=64)))
    config = change(
        tracker_config,
        max_samples=64,
        output_dir=str(tmp_path / "out"),
        create_dataset_config=None,
        dataset_file=str(local_path(first["dataset"]["motions_yaml"])),
        in_model_file=str(local_path(first["training"]["model"])),
    )
    result = tracker_iteration(str(config))
    assert local_path(result["training"]["model"]) == tmp_path / "out" / "model.pt"
    assert (
        resolve_model(Store(), "tiny")["lineage"]["parent"]["sha256"] == first["training"]["model"]["sha256"]
    )


def test_a_crashed_trainer_is_tried_again(tracker_config, store, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks.train, "BACK_OFF", (0.01,))
    python = tmp_path / "crashes_once"
    python.write_text(
        f'#!/bin/sh\n{PROBE}if mkdir {tmp_path}/crashed 2>/dev/null; then kill -9 $$; fi\nexec {sys.executable} "$@"\n'
    )
    os.chmod(python, 0o755)
    config = change(tracker_config, trainer_python=str(python), max_samples=64)
    assert tracker_iteration(str(config))["training"]["samples"] == 64
    assert (tmp_path / "crashed").is_dir()


def test_a_trainer_that_lost_the_store_is_tried_again(tracker_config, store, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks.train, "BACK_OFF", (0.01,))
    python = tmp_path / "store_away_once"
    python.write_text(
        f"#!/bin/sh\n{PROBE}echo x >> {tmp_path}/attempts\n"
        f"if mkdir {tmp_path}/away 2>/dev/null; then echo 'error: the store does not answer' >&2; exit 69; fi\n"
        f'exec {sys.executable} "$@"\n'
    )
    os.chmod(python, 0o755)
    config = change(tracker_config, trainer_python=str(python), max_samples=64)
    result = tracker_iteration(str(config))
    assert result["training"]["samples"] == 64
    assert result["model"]["version"] == 1
    assert (tmp_path / "attempts").read_text() == "x\nx\n"


def test_bad_data_is_not_tried_again(tracker_config, store, tmp_path):
    python = tmp_path / "says_bad_data"
    python.write_text(
        f"#!/bin/sh\n{PROBE}echo x >> {tmp_path}/attempts\necho 'error: walk.pkl: bad' >&2\nexit 65\n"
    )
    os.chmod(python, 0o755)
    with pytest.raises(DataError, match=r"^walk\.pkl: bad$"):
        tracker_iteration(str(change(tracker_config, trainer_python=str(python))))
    assert (tmp_path / "attempts").read_text() == "x\n"
