"""`parc-tracker deploy`: brings a Prefect server to the wanted state; a second time changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import EntrypointType
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.utilities.callables import ParameterSchema
from prefect.workers.process import ProcessWorker

from deployments.automations import apply_automation, wanted
from deployments.settings import CHECK_QUEUE, MANUAL, QUEUE, SCHEDULED, DeploySettings
from flows.deployed import tracker_iteration_deployed
from flows.form_configs import described
from flows.tracker_iteration import FLOW_NAME
from parc_core.errors import ConfigError

START_A_SERVER = "start one with 'prefect server start' and set PREFECT_API_URL=http://127.0.0.1:4200/api"


@dataclass(frozen=True)
class Item:
    """Something on the server, and what became of it."""

    kind: str
    name: str
    state: str


async def deploy(settings: DeploySettings) -> list[Item]:
    """Creates or updates work pool, queue, deployments and automations.

    Changes made in the UI are kept: a paused schedule, another cron line, the queue's limit, a disabled automation,
    the pool's template. Settings that are given win.

    Raises:
        ConfigError: no server is set or it does not answer, or a setting is wrong.
    """
    if get_current_settings().api.url is None:
        raise ConfigError(f"no Prefect server is set; {START_A_SERVER}")
    async with get_client() as client:
        problem = await client.api_healthcheck()
        if problem is not None:
            raise ConfigError(f"the Prefect server {client.api_url} does not answer; {START_A_SERVER}")
        there = {name: await _deployed(client, name) for name in (MANUAL, SCHEDULED)}
        _check_pools(there, settings)
        items = [await _pool(client, settings), await _queue(client, settings)]
        items.append(await _check_queue(client, settings))
        following = await _following(client, settings.next_deployment)
        ids = []
        for name, earlier in there.items():
            item, id = await _deployment(name, settings, earlier)
            items.append(item)
            ids.append(id)
        for automation in wanted(ids, settings.heartbeat_timeout, following):
            new = await apply_automation(client, automation)
            items.append(Item("automation", automation.name, "created" if new else "up to date"))
        return items


async def _pool(client: PrefectClient, settings: DeploySettings) -> Item:
    try:
        pool = await client.read_work_pool(settings.pool)
    except ObjectNotFound:
        if settings.image is not None:
            raise ConfigError(
                f"there is no work pool '{settings.pool}'; an image needs one of type docker or kubernetes, made with "
                f"'prefect work-pool create {settings.pool} --type docker'"
            ) from None
        template = ProcessWorker.get_default_base_job_template()
        await client.create_work_pool(
            WorkPoolCreate(name=settings.pool, type="process", base_job_template=template)
        )
        return Item("work pool", settings.pool, "created")
    return Item("work pool", settings.pool, f"exists ({pool.type})")


async def _queue(client: PrefectClient, settings: DeploySettings) -> Item:
    """The queue's limit survives restarts of the server, which deployments' own limits don't."""
    limit = settings.max_concurrent_runs
    try:
        queue = await client.read_work_queue_by_name(QUEUE, settings.pool)
    except ObjectNotFound:
        await client.create_work_queue(QUEUE, concurrency_limit=limit or 1, work_pool_name=settings.pool)
        return Item("queue", QUEUE, f"created, limit {limit or 1}")
    if limit is None or limit == queue.concurrency_limit:
        return Item("queue", QUEUE, f"up to date, limit {queue.concurrency_limit}")
    await client.update_work_queue(queue.id, concurrency_limit=limit)
    return Item("queue", QUEUE, f"limit is now {limit}")


async def _check_queue(client: PrefectClient, settings: DeploySettings) -> Item:
    """Without a limit of ours: a check behind a training of days would check nothing."""
    try:
        await client.read_work_queue_by_name(CHECK_QUEUE, settings.pool)
    except ObjectNotFound:
        await client.create_work_queue(CHECK_QUEUE, work_pool_name=settings.pool)
        return Item("queue", CHECK_QUEUE, "created")
    return Item("queue", CHECK_QUEUE, "up to date")


async def _deployed(client: PrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return await client.read_deployment_by_name(f"{FLOW_NAME}/{name}")
    except ObjectNotFound:
        return None


def _check_pools(there: dict[str, DeploymentResponse | None], settings: DeploySettings) -> None:
    """A deployment that changes its pool leaves the workers of the earlier one without work."""
    for name, deployment in there.items():
        pool = deployment.work_pool_name if deployment is not None else None
        if pool is not None and pool != settings.pool and not settings.move:
            raise ConfigError(
                f"deployment {FLOW_NAME}/{name} is in work pool '{pool}', whose workers would get nothing more; "
                f"give --pool {pool}, or --pool {settings.pool} --move to move it"
            )


async def _deployment(
    name: str, settings: DeploySettings, there: DeploymentResponse | None
) -> tuple[Item, UUID]:
    job: dict[str, Any] = {"env": settings.environment(name), "stream_output": False}
    if settings.image is not None:
        job["image"] = settings.image
    form = settings.form.model_copy(update={"only_new_motions": name == SCHEDULED})
    deployment = await tracker_iteration_deployed.ato_deployment(
        name,
        parameters=form.parameters(),
        work_pool_name=settings.pool,
        work_queue_name=CHECK_QUEUE if name == SCHEDULED else QUEUE,
        job_variables=job,
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=["parc"],
    )
    deployment._parameter_openapi_schema = ParameterSchema(
        **described(deployment._parameter_openapi_schema.model_dump(), form)
    )
    schedules = _schedules(there, settings) if name == SCHEDULED else []
    id = await deployment.aapply(schedules=[schedule.model_dump() for schedule in schedules])
    state = "created" if there is None else "up to date"
    if there is not None and there.work_pool_name not in (None, settings.pool):
        state = f"moved from pool {there.work_pool_name} to {settings.pool}"
    if schedules:
        state += ", " + "; ".join(_in_words(schedule) for schedule in schedules)
    return Item("deployment", f"{FLOW_NAME}/{name}", state), id


def _schedules(there: DeploymentResponse | None, settings: DeploySettings) -> list[DeploymentScheduleCreate]:
    """Those of the server, also paused or edited ones, unless another cron line is given."""
    present = there.schedules if there is not None else []
    active = all(schedule.active for schedule in present)
    if settings.cron is None and present:
        return [
            DeploymentScheduleCreate(
                schedule=schedule.schedule,
                active=schedule.active,
                parameters=schedule.parameters,
                slug=schedule.slug,
            )
            for schedule in present
        ]
    return [DeploymentScheduleCreate(schedule=settings.schedule(), active=active, slug="new-motions")]


def _in_words(schedule: DeploymentScheduleCreate) -> str:
    cron = getattr(schedule.schedule, "cron", None)
    return f"cron '{cron}'" * (cron is not None) + ("" if schedule.active else " (paused)")


async def _following(client: PrefectClient, name: str | None) -> UUID | None:
    if name is None:
        return None
    try:
        return (await client.read_deployment_by_name(name)).id
    except (ObjectNotFound, ValueError):
        raise ConfigError(f"--next '{name}': there is no such deployment; write FLOW/DEPLOYMENT") from None
