"""Automations: dead runs are noticed, crashed runs resume, a registered model starts what follows.

Windows and the proactive form of the retry were found by experiment: a retry at once on Crashed starts a run twice,
because the event comes twice.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from tasks.events import MODEL_REGISTERED

HEARTBEAT_EVENT = "prefect.flow-run.heartbeat"
HEARTBEATS = frozenset(
    {HEARTBEAT_EVENT, *(f"prefect.flow-run.{state}" for state in ("Pending", "Submitting", "Running"))}
)
"""From the worker's claim on: heartbeats begin with the flow, and a machine can die before."""
DEAD, RETRY, NEXT = (
    "parc: silent runs have crashed",
    "parc: crashed runs go on",
    "parc: a registered model starts the next stage",
)
"""Names on the server: `deploy` finds by them what it made earlier."""
RETRY_AFTER = timedelta(seconds=15)


def wanted(
    deployments: list[UUID], heartbeat_timeout: int, next_deployment: UUID | None
) -> list[AutomationCore]:
    """The automations for the runs of some deployments."""
    found = [_dead(deployments, timedelta(seconds=heartbeat_timeout)), _retry(deployments)]
    return found if next_deployment is None else [*found, _next(next_deployment)]


async def apply_automation(client: PrefectClient, automation: AutomationCore) -> bool:
    """Creates the automation, or brings the one of that name up to date; a disabled one stays disabled.

    Returns:
        Whether it is new.
    """
    there = await client.read_automations_by_name(automation.name)
    if not there:
        await client.create_automation(automation)
        return True
    updated = automation.model_copy(update={"enabled": there[0].enabled})
    await client.update_automation(there[0].id, updated)
    return False


def _of(deployments: list[UUID]) -> dict[str, str | list[str]]:
    return {
        "prefect.resource.role": "deployment",
        "prefect.resource.id": [f"prefect.deployment.{id}" for id in deployments],
    }


def _runs(deployments: list[UUID], after: set[str], expect: set[str], within: timedelta) -> EventTrigger:
    """Fires for each run of which, after one event, none of the expected ones is seen in time."""
    return EventTrigger(
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related=_of(deployments),
        after=after,
        expect=expect,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=within,
    )


def _dead(deployments: list[UUID], timeout: timedelta) -> AutomationCore:
    ends = ("Completed", "Skipped", "Failed", "Cancelled", "Crashed", "AwaitingRetry", "Paused", "Suspended")
    return AutomationCore(
        name=DEAD,
        description=f"A run without a heartbeat for {timeout.seconds} s has lost its process.",
        trigger=_runs(
            deployments,
            after=set(HEARTBEATS),
            expect={*HEARTBEATS, *(f"prefect.flow-run.{state}" for state in ends)},
            within=timeout,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name=None,
                force=False,
                message=f"no heartbeat for {timeout.seconds} s: the process is gone",
            )
        ],
    )


def _retry(deployments: list[UUID]) -> AutomationCore:
    moves = ("Pending", "Running", "Scheduled", "AwaitingRetry", "Completed", "Cancelled", "Failed")
    return AutomationCore(
        name=RETRY,
        description="A crashed run is restarted; it resumes from its cached results and its last checkpoint.",
        trigger=_runs(
            deployments,
            after={"prefect.flow-run.Crashed"},
            expect={f"prefect.flow-run.{state}" for state in moves},
            within=RETRY_AFTER,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED,
                name="AwaitingRetry",
                message="restarted after a crash",
                force=False,
            )
        ],
    )


def _next(deployment: UUID) -> AutomationCore:
    return AutomationCore(
        name=NEXT,
        description="Its parameter `model` is the new model: registry:NAME@VERSION.",
        trigger=EventTrigger(
            match={"prefect.resource.id": "parc.model.*"},
            expect={MODEL_REGISTERED},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            RunDeployment(
                source="selected",
                job_variables=None,
                deployment_id=deployment,
                parameters={
                    "model": {"__prefect_kind": "jinja", "template": "{{ event.payload.model }}"},
                },
            )
        ],
    )
