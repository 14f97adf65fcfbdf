"""Two workers as two machines that share nothing but server and S3 store: one dies in training, the other goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from parc_core.registry.models import resolve_model
from parc_core.storage.store import Store
from tests.pipeline_fixtures import change
from tests.prefect_processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SAMPLES = 12_800
SILENCE = 90  # s, the shortest that deploy allows


def host(folder):
    """What belongs to one machine alone."""
    return {
        "PARC_WORK": str(folder / "work"),
        "PARC_CACHE": str(folder / "cache"),
        "PARC_INDEX": str(folder / "index.json"),
    }


def checkpointed(store):
    """Samples of the newest checkpoint in the store."""
    found = [key for key in store.list("runs") if key.endswith("/checkpoints.json")]
    return max(
        (entry["samples"] for key in found for entry in store.read_json(key)["checkpoints"]), default=0
    )


def parents():
    """The parent of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    return found


def power_cut(worker):
    """Ends the worker and all that it started, at once; how many processes that were."""
    dying, family = [], [worker.pid]
    while family:
        dying += family
        family = [child for child, parent in parents().items() if parent in family]
    for process in dying:
        os.kill(process, signal.SIGKILL)
    return len(dying)


def test_one_dies_and_the_other_goes_on(server, tracker_config, s3_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PARC_STORE", s3_url)
    server.deploy(change(tracker_config, max_samples=SAMPLES), "--heartbeat-timeout", str(SILENCE))
    first, second = tmp_path / "first", tmp_path / "second"
    with server.worker(first, **host(first)) as worker:
        id = server.start_run("tracker-iteration")
        before = wait_for("a checkpoint in the store", lambda: checkpointed(Store()), limit=120)
        assert power_cut(worker) >= 3  # worker, flow, trainer
    assert server.run(id)["state"]["name"] == "Running"  # nobody is left to say otherwise
    with server.worker(second, **host(second)):
        run = server.wait(id, "Completed", "Failed", limit=SILENCE + 240)
    assert run["state"]["name"] == "Completed", run["state"]["message"]
    states = server.states(id)
    assert (run["run_count"], states.count("Crashed"), states.count("AwaitingRetry")) == (2, 1, 1)

    model = resolve_model(Store(), "tiny")
    assert (model["version"], model["lineage"]["samples"]) == (1, SAMPLES)
    # The second machine began where the first one's last mirrored checkpoint was.
    [progress] = (second / "work" / "runs").glob("*/progress.jsonl")
    starts = [
        line for text in progress.read_text().splitlines() if (line := json.loads(text))["event"] == "start"
    ]
    assert starts[-1]["samples"] >= before > 0
