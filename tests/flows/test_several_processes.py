"""The flow trains in as many processes as `gpus` says; with another number it is the same training."""

from __future__ import annotations

import json

import pytest

from parc_core.storage.references import local_path
from tests.pipeline_fixtures import change

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def starts(folder):
    events = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    return [event for event in events if event["event"] == "start"]


def test_gpus_of_the_config_train_together(tracker_config, prefect_server, store):
    from flows.tracker_iteration import tracker_iteration

    result = tracker_iteration(str(change(tracker_config, gpus=2)))
    folder = local_path(result["training"]["model"]).parent
    [first] = starts(folder)
    assert (first["processes"], first["num_envs"]) == (2, 8)
    assert result["training"]["samples"] == 128 and result["after"]["report"]
    arguments = local_path(result["model"]["model"]).with_name("train_args.txt").read_text()
    assert "--gpus 2\n" in arguments and "--num_envs 8\n" in arguments

    again = tracker_iteration(str(change(tracker_config, gpus=1)))
    assert again["training"] == result["training"] and len(starts(folder)) == 1  # cached

    longer = tracker_iteration(str(change(tracker_config, gpus=1, max_samples=192)))
    assert longer["training"]["run_key"] == result["training"]["run_key"]
    assert [start.get("processes", 1) for start in starts(folder)] == [2, 1]
    assert starts(folder)[1]["samples"] == 128
