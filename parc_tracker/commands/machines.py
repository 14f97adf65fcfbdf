"""Machines: a Prefect server's deployments, its workers, and what this one has."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

from parc_tracker.commands.options import DEFAULT_CONFIG, ConfigOption
from parc_tracker.json_option import JsonOption


class EarlierNames(TyperCommand):
    """Accepts options under their earlier names, which --help does not show."""

    names: ClassVar = {"--dead-after": "--heartbeat-timeout", "--trainings-at-once": "--max-concurrent-runs"}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = (arg.partition("=") for arg in args)
        return super().parse_args(
            ctx, [self.names.get(name, name) + "".join(rest) for name, *rest in options]
        )


def deploy(
    config: ConfigOption = Path(DEFAULT_CONFIG),
    pool: Annotated[str, typer.Option("--pool", help="Work pool of the workers.")] = "parc",
    move: Annotated[
        bool, typer.Option("--move", help="Move the deployments to --pool where they are in another one.")
    ] = False,
    max_concurrent_runs: Annotated[
        int | None,
        typer.Option(
            "--max-concurrent-runs",
            min=1,
            help="As many as the workers have GPUs; further runs wait. [default: 1 at first]",
        ),
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option("--cron", help="When to check for new motions. [default: '0 3 * * *' at first]"),
    ] = None,
    timezone: Annotated[str, typer.Option("--timezone", help="Of the cron line.")] = "UTC",
    heartbeat_timeout: Annotated[
        int,
        typer.Option(
            "--heartbeat-timeout", help="Seconds without a heartbeat after which a run counts as crashed."
        ),
    ] = 180,
    image: Annotated[
        str | None, typer.Option("--image", help="Image for a pool of type docker or kubernetes.")
    ] = None,
    next_deployment: Annotated[
        str | None,
        typer.Option("--next", help="FLOW/DEPLOYMENT that each registered model starts (parameter: model)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Set up a Prefect server: work pool, queue, deployments with the config's values, schedule, automations."""
    from parc_tracker.deploy import run_deploy

    run_deploy(
        config,
        pool,
        max_concurrent_runs,
        cron,
        timezone,
        heartbeat_timeout,
        image,
        next_deployment,
        as_json,
        move,
    )


def worker(
    pool: Annotated[str, typer.Option("--pool", help="Work pool.")] = "parc",
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Trainings at once, which all see the same GPUs. [default: 1]"),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Shown in the UI.")] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            "--devices",
            help="GPUs to hand out, such as 0,1,2,3: a training starts when as many are free as it asks for.",
        ),
    ] = None,
) -> None:
    """Work for a Prefect server: trainings, and checks for new motions. SIGTERM ends it with a checkpoint."""
    from parc_tracker.worker import run_workers

    raise typer.Exit(run_workers(pool, limit, name, devices))


def doctor(as_json: JsonOption = False) -> None:
    """Check the installation: engines, GPU, versions, store."""
    from parc_tracker.doctor.checks import checks
    from parc_tracker.tables import only_json, print_json

    with only_json(as_json):
        found = checks()
    if as_json:
        print_json({"checks": [dataclasses.asdict(check) for check in found]})
    width = max(len(check.name) for check in found)
    for check in () if as_json else found:
        text, colour = (
            ("ok", "green") if check.ok else ("missing", "red") if check.needed else ("no", "yellow")
        )
        fix = f" -> {check.fix}" if check.fix and not check.ok else ""
        typer.echo(f"{typer.style(text.ljust(7), fg=colour)}  {check.name:<{width}}  {check.detail}{fix}")
    if any(check.needed and not check.ok for check in found):
        raise typer.Exit(1)
