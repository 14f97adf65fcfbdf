"""Runs that are cancelled, and runs that want the same at once."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.exceptions import CancelledRun
from prefect.states import Cancelling

import tasks.cancel
from flows.tracker_iteration import tracker_iteration
from parc_core.registry.models import list_versions
from parc_core.storage.store import Store
from tests.pipeline_fixtures import change

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def events(store: Path) -> list[dict]:
    return [
        json.loads(line)
        for path in store.glob("runs/*/progress.jsonl")
        for line in path.read_text().splitlines()
    ]


def cancel_when_training(store: Path, times: dict[str, float]) -> None:
    """What the UI does where no worker is left to deliver a signal."""
    deadline = time.monotonic() + 120
    while not any(event["event"] == "output" for event in events(store)) and time.monotonic() < deadline:
        time.sleep(0.2)
    running = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])))
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=running):
            times["id"] = run.id
            client.set_flow_run_state(run.id, Cancelling(), force=True)
    times["cancelled"] = time.monotonic()


def test_a_cancelled_run_stops_its_trainer_with_a_checkpoint(tracker_config, store, monkeypatch):
    monkeypatch.setattr(tasks.cancel, "SECONDS_BETWEEN", 1.0)
    times: dict = {}
    canceller = threading.Thread(target=cancel_when_training, args=(store, times))
    canceller.start()
    config = str(change(tracker_config, max_samples=10_000_000))
    with pytest.raises(CancelledRun):
        tracker_iteration(config)
    canceller.join()
    assert time.monotonic() - times["cancelled"] < 20
    assert [event["event"] for event in events(store)][-1] == "interrupted"
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(times["id"]).state.type == StateType.CANCELLED
    assert list(store.glob("runs/*/checkpoints/*.pt"))


def test_of_two_runs_of_the_same_training_one_trains(tracker_config, store):
    results = []
    runs = [
        threading.Thread(target=lambda: results.append(tracker_iteration(str(tracker_config))))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join(200)
    assert len(results) == 2
    assert results[0]["training"] == results[1]["training"]
    assert [event["event"] for event in events(store)].count("start") == 1
    assert list_versions(Store(), "tiny") == [1]
