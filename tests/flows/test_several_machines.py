"""The flow with its store on an S3 server; machines are work folders that share nothing else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import tasks.train
from flows.tracker_iteration import tracker_iteration
from parc_core.motion.dataset.merge_result import read_merge_result
from parc_core.registry.models import fetch_model, resolve_model
from parc_core.storage.references import local_path, missing
from parc_core.storage.store import Store
from parc_core.supervisor.supervise import TrainerCrashed
from tests.pipeline_fixtures import PROBE, change

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def machine(store, s3_url, tmp_path, monkeypatch):
    """From a name to a machine that this process then is; all have the same store."""
    monkeypatch.setenv("PARC_STORE", s3_url)

    def become(name: str) -> Path:
        monkeypatch.setenv("PARC_WORK", str(tmp_path / name))
        monkeypatch.setenv("PARC_INDEX", str(tmp_path / f"{name}.json"))
        monkeypatch.setenv("PARC_CACHE", str(tmp_path / f"{name}_cache"))
        return tmp_path / name

    return become


def events(work: Path) -> list[dict]:
    """All that trainers said on a machine."""
    return [
        json.loads(line)
        for path in sorted(work.glob("runs/*/progress.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_what_one_machine_made_another_takes_from_the_store(machine, tracker_config):
    first_machine = machine("a")
    first = tracker_iteration(str(tracker_config))
    assert [event["event"] for event in events(first_machine)].count("start") == 1
    text = json.dumps(first)
    assert "file:" not in text
    assert str(first_machine) not in text

    second_machine = machine("b")
    assert tracker_iteration(str(tracker_config)) == first
    assert events(second_machine) == []
    assert "<h1>tiny</h1>" in local_path(first["after"]["report"]).read_text()
    merged = read_merge_result(local_path(first["dataset"]["merge"]))
    assert {path.name for path in (second_machine / "motions").glob("*.pkl")} == {
        m.file for m in merged.motions
    }

    model = resolve_model(Store(), "tiny")
    files = fetch_model(Store(), model, second_machine / "pulled")
    assert files["model.pt"].read_bytes() == local_path(first["training"]["model"]).read_bytes()
    assert {"dm_env.yaml", "agent_config.yaml", "train_args.txt", "report.html"} <= files.keys()


def test_what_is_gone_or_altered_in_the_store_is_made_again(machine, tracker_config):
    machine("a")
    config = str(change(tracker_config, max_samples=64))
    first = tracker_iteration(config)
    store = Store()
    store.delete(store.key_of(first["after"]["report"]["uri"]))
    machine("b")
    again = tracker_iteration(config)
    assert missing(again) is None
    assert again["training"] == first["training"]
    store.put_bytes(b"someone else's", store.key_of(first["training"]["model"]["uri"]))
    motion = next(key for key in store.list("motions"))
    store.put_bytes(b"someone else's", motion)
    work = machine("c")
    last = tracker_iteration(config)
    assert missing(last) is None
    assert last["dataset"]["sha256"] == first["dataset"]["sha256"]
    assert "output" not in [event["event"] for event in events(work)]  # nothing was trained again


def test_a_training_goes_on_on_another_machine(machine, tracker_config, tmp_path, monkeypatch):
    """The trainer of the first machine is killed for good after some checkpoints."""
    monkeypatch.setattr(tasks.train, "BACK_OFF", (0.01,))
    machine("a")
    python = tmp_path / "dies"
    python.write_text(
        f"#!/bin/sh\n{PROBE}"
        f'{sys.executable} "$@" --max_samples 256\n'  # a quarter of what was asked for, then a crash
        "exit 1\n"
    )
    os.chmod(python, 0o755)
    with pytest.raises(TrainerCrashed):
        tracker_iteration(str(change(tracker_config, max_samples=1024, trainer_python=str(python))))

    work = machine("b")
    result = tracker_iteration(str(change(tracker_config, max_samples=1024, trainer_python=None)))
    assert result["training"]["samples"] == 1024
    start = events(work)[0]
    assert (start["event"], start["samples"]) == ("start", 256)
    log = local_path(result["training"]["log"]).read_text().splitlines()
    assert len(log) == 1 + 1024 // 64


def test_refresh_runs_a_stage_again(machine, tracker_config):
    machine("a")
    config = str(change(tracker_config, max_samples=64))
    first = tracker_iteration(config)
    again = tracker_iteration(config, refresh=["register"])
    assert (first["model"]["version"], again["model"]["version"]) == (1, 2)
    assert again["training"] == first["training"]


def test_the_latest_model_of_the_registry_is_the_parent(machine, tracker_config):
    machine("a")
    first = tracker_iteration(str(change(tracker_config, max_samples=64)))
    machine("b")
    config = change(
        tracker_config, max_samples=64, in_model_file="registry:tiny@latest", gate={"min_return": 1e9}
    )
    second = tracker_iteration(str(config))
    manifest = resolve_model(Store(), "tiny", 2)
    assert manifest["lineage"]["parent"]["sha256"] == first["training"]["model"]["sha256"]
    assert second["model"]["version"] == 2
    assert resolve_model(Store(), "tiny", "latest")["version"] == 1  # the gate
