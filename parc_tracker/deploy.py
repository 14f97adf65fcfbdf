"""`parc-tracker deploy`: the Prefect server's side of the pipeline."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from parc_tracker.configured_server import check_server, without_unusable_proxies
from parc_tracker.tables import cell, only_json, print_json, print_table


def run_deploy(
    config: Path,
    pool: str,
    max_concurrent_runs: int | None,
    cron: str | None,
    timezone: str,
    heartbeat_timeout: int,
    image: str | None,
    next_deployment: str | None,
    as_json: bool = False,
    move: bool = False,
) -> None:
    """Sets up the server and shows what is there now.

    Raises:
        ServerUnreachable: no Prefect server answers.
        ConfigError: see `check_server`, `deployments.deploy.deploy`, `flows.form_configs.form_from_config` and
            `deployed_store`.
        DataError: the config's model to start from is not in the registry.
    """
    import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported

    check_server(without_unusable_proxies())
    from deployments.deploy import deploy
    from deployments.settings import DeploySettings, deployed_store
    from flows.form_configs import form_from_config
    from parc_core.registry.names import is_reference, resolve_reference

    form = form_from_config(config)
    parent = form.training.in_model_file
    if parent is not None and is_reference(parent):
        resolve_reference(parent)  # each run of the form would fail
    settings = DeploySettings(
        form=form,
        store=deployed_store(),
        pool=pool,
        move=move,
        max_concurrent_runs=max_concurrent_runs,
        cron=cron,
        timezone=timezone,
        heartbeat_timeout=heartbeat_timeout,
        image=image,
        next_deployment=next_deployment,
    )
    with only_json(as_json):
        items = asyncio.run(deploy(settings))
    if as_json:
        print_json({"items": [asdict(item) for item in items], "store": settings.store, "pool": pool})
        return
    table = Table()
    for column in ("", "name", "state"):
        table.add_column(column)
    for item in items:
        table.add_row(item.kind, cell(item.name), cell(item.state))
    print_table(table)
    print(f"store: {settings.store}")
    print(f"a worker: parc-tracker worker --pool {pool}")
