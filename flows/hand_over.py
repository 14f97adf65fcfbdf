"""From the check for new motions to the training of the next iteration, a run of its own.

The check is done in seconds and must not wait for a training slot, nor take one.
"""

from __future__ import annotations

import os
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.form import Form

TRAINED_BY = "PARC_TRAINING_DEPLOYMENT"
"""`FLOW/DEPLOYMENT` that trains what this deployment finds; unset: the run trains by itself."""
_UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED]


def trained_elsewhere() -> str | None:
    """The deployment that trains what this run finds; None where it trains by itself."""
    return os.environ.get(TRAINED_BY) or None


def nothing_new(model_name: str) -> State[Any]:
    """The end of a check that found nothing: a completed run whose name says so, since pages list by state name."""
    run_id = flow_run.get_id()
    if run_id is not None:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(run_id), name="no new motions")
    return Completed(message=f"no new motions since the last model of '{model_name}'")


def start_training(deployment: str, form: Form, dataset: str) -> State[Any]:
    """Asks for the training of the next iteration, unless a run for the same motions is under way or waits.

    Args:
        deployment: `FLOW/DEPLOYMENT`.
        form: what is trained.
        dataset: SHA-256 of the dataset's content.
    """
    tags = [f"dataset-{dataset[:16]}", f"model-{form.registration.model_name}"]
    with get_client(sync_client=True) as client:
        id = client.read_deployment_by_name(deployment).id
        there = _unfinished(client, id, tags)
        if there is not None:
            return Completed(
                message=f"run '{there.name}' trains on these motions already, or waits for its turn"
            )
        run = client.create_flow_run_from_deployment(
            id,
            parameters={**form.parameters(), "only_new_motions": True},
            tags=tags,
            idempotency_key=flow_run.get_id(),  # a check that is started again asks for the same run
        )
    return Completed(message=f"new motions: run '{run.name}' trains on them, in the queue of the trainings")


def _unfinished(client: SyncPrefectClient, deployment: Any, tags: list[str]) -> FlowRun | None:
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(
            tags=FlowRunFilterTags(all_=tags),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
        ),
        limit=1,
    )
    return runs[0] if runs else None
