"""A worker that is stopped, as systemd does it, stops its training with a checkpoint; the next one goes on from it."""

from __future__ import annotations

import signal
import time

import pytest

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from parc_tracker.worker import END_SECONDS, STOP_SECONDS, descendants, running
from tests.flows.test_stopping import events
from tests.pipeline_fixtures import change
from tests.prefect_processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORKER = ("parc_tracker.main", "worker", "--pool", "parc")
ERROR = 40  # level of the log


def training(store):
    """The trainer's events, once there is a checkpoint."""
    found = events(store)
    return found if any(event["event"] == "checkpoint" for event in found) else []


def logged(server, id):
    query = {"logs": {"flow_run_id": {"any_": [id]}}, "sort": "TIMESTAMP_ASC"}
    return server.http.post("/logs/filter", json=query).raise_for_status().json()


def errors(server, id):
    return [line["message"] for line in logged(server, id) if line["level"] >= ERROR]


def lines_of_the_end(server, id):
    return [line for line in logged(server, id) if "Finished in state Cancelled" in line["message"]]


def test_a_stopped_worker_stops_its_training_with_a_checkpoint(server, tracker_config, store, tmp_path):
    server.deploy(change(tracker_config, max_samples=10_000_000))
    with server.worker(tmp_path / "first", *WORKER) as worker:
        id = server.start_run("tracker-iteration")
        wait_for("a checkpoint", lambda: training(store), limit=120)
        family = descendants([worker.pid])
        assert len(family) >= 5  # this command, two workers, flow, trainer
        begun = time.monotonic()
        worker.send_signal(signal.SIGTERM)  # KillMode=mixed: the main process alone
        assert worker.wait(STOP_SECONDS + END_SECONDS) == 0
        assert running(family) == []  # before the main process: what outlives it, systemd kills at once
        assert time.monotonic() - begun < STOP_SECONDS
    assert events(store)[-1]["event"] == "interrupted"
    samples = events(store)[-1]["samples"]
    assert server.run(id)["state"]["name"] in ("Crashed", "AwaitingRetry")
    assert errors(server, id) == []
    assert any("the worker was stopped" in line["message"] for line in logged(server, id))

    with server.worker(tmp_path / "second", *WORKER) as worker:
        start = wait_for(
            "another start", lambda: [e for e in events(store) if e["event"] == "start"][1:], 150
        )
        assert start[0]["samples"] == samples > 0
        # A cancel of the UI: nothing that reads as a crash.
        server.http.post(
            f"/flow_runs/{id}/set_state", json={"state": {"type": "CANCELLING"}}
        ).raise_for_status()
        run = server.wait(id, "Cancelled", limit=40)
        assert "was cancelled" in run["state"]["message"]
        wait_for("the trainer's end", lambda: events(store)[-1]["event"] == "interrupted", limit=20)
        assert wait_for("the last line", lambda: lines_of_the_end(server, id), limit=20)
        assert errors(server, id) == []
        assert "Finished in state Running" not in "".join(line["message"] for line in logged(server, id))
        assert server.run(id)["state"]["name"] == "Cancelled"
