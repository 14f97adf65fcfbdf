"""A worker with GPUs to hand out runs trainings side by side on a real server, each on GPUs of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from tests.deployments.test_stop_worker import WORKER
from tests.pipeline_fixtures import change
from tests.prefect_processes import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def gpus_seen(server, id):
    """CUDA_VISIBLE_DEVICES of a run's process."""
    pid = server.run(id)["infrastructure_pid"]
    found = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(
        line.decode().partition("=")[2] for line in found if line.startswith(b"CUDA_VISIBLE_DEVICES=")
    )


def start(server, seed, gpus):
    return server.start_run("tracker-iteration", training={"seed": seed, "gpus": gpus, "num_envs": 12})


def cancel(server, id):
    request = {"state": {"type": "CANCELLING"}}
    server.http.post(f"/flow_runs/{id}/set_state", json=request).raise_for_status()


def runs(server, *ids):
    return [server.run(id)["state"]["name"] for id in ids]


def test_runs_count_by_their_gpus(server, tracker_config, tmp_path):
    config = change(tracker_config, max_samples=10_000_000, gpus=1)
    assert "limit 3" in server.deploy(config, "--max-concurrent-runs", "3")
    with server.worker(tmp_path / "worker", *WORKER, "--devices", "4,6,7"):
        first, second = start(server, 1, 1), start(server, 2, 1)
        wait_for("two runs", lambda: set(runs(server, first, second)) == {"Running"}, limit=120)
        assert {gpus_seen(server, first), gpus_seen(server, second)} == {"4", "6"}

        large = start(server, 3, 2)  # one GPU is free
        with pytest.raises(TimeoutError):
            wait_for("too much", lambda: server.run(large)["state"]["type"] != "SCHEDULED", limit=15)
        cancel(server, first)
        server.wait(first, "Cancelled", limit=60)
        server.wait(large, "Running", limit=60)
        assert gpus_seen(server, second) not in gpus_seen(server, large).split(",")
        assert sorted([gpus_seen(server, second), *gpus_seen(server, large).split(",")]) == ["4", "6", "7"]

        for id in (second, large):
            cancel(server, id)
            server.wait(id, "Cancelled", limit=60)
