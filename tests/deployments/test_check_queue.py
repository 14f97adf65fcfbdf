"""The scheduled check neither waits for a training nor takes a training's place."""

from __future__ import annotations

import pytest

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from tests.deployments.test_stop_worker import WORKER, training
from tests.pipeline_fixtures import change
from tests.prefect_processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def unfinished(server):
    query = {
        "deployments": {"name": {"any_": ["tracker-iteration"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}},
    }
    return server.http.post("/flow_runs/filter", json=query).raise_for_status().json()


def test_a_check_is_done_while_a_training_takes_the_only_place(server, tracker_config, store, tmp_path):
    server.deploy(change(tracker_config, max_samples=10_000_000))
    with server.worker(tmp_path / "worker", *WORKER, "--limit", "1"):
        long = server.start_run("tracker-iteration")
        wait_for("a checkpoint", lambda: training(store), limit=120)

        check = server.start_run("tracker-iteration-scheduled", training={"max_samples": 64})
        run = server.wait(check, "Completed", "Failed", limit=60)
        assert run["state"]["name"] == "Completed"
        [asked] = [found for found in unfinished(server) if found["id"] != long]
        assert f"run '{asked['name']}' trains on them" in run["state"]["message"]
        assert asked["parameters"]["only_new_motions"] is True
        assert server.run(long)["state"]["name"] == "Running"

        # The next night finds the same motions: one run for them is enough.
        again = server.start_run("tracker-iteration-scheduled", training={"max_samples": 64})
        message = server.wait(again, "Completed", "Failed", limit=60)["state"]["message"]
        assert message == f"run '{asked['name']}' trains on these motions already, or waits for its turn"
        assert len(unfinished(server)) == 2

        server.http.post(f"/flow_runs/{long}/set_state", json={"state": {"type": "CANCELLING"}})
        assert server.wait(asked["id"], "Completed", "Failed", limit=180)["state"]["name"] == "Completed"
        last = server.start_run("tracker-iteration-scheduled", training={"max_samples": 64})
        run = server.wait(last, "Completed", "Failed", limit=60)
        assert run["name"] == "no new motions"
        assert run["state"]["message"] == "no new motions since the last model of 'tiny'"
