"""Running the flow from the command line, and showing what came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def run_flow(config: Path) -> dict[str, Any]:
    """Runs the flow in this process, with Prefect's embedded server unless one is configured."""
    from parc_core.config.preflight import check_runnable

    check_runnable(config)  # said in one line, before a server starts
    from flows.tracker_iteration import tracker_iteration

    return tracker_iteration(str(config))


def show_result(result: dict[str, Any], console: Console | None = None) -> None:
    """A table of the motions before and after, and where things lie."""
    from tasks.caching import local_path

    console = console or Console()
    before, after = (
        json.loads(local_path(result[name]["evaluation"]).read_text()) for name in ("before", "after")
    )
    console.print(comparison(before, after))
    model = result["model"]
    console.print(
        f"model   {local_path(model['model'])}  ({model['name']} version {model['version']})", soft_wrap=True
    )
    for name in ("report", "video"):
        ref = result["after"].get(name)
        if ref:
            console.print(f"{name:<7} {local_path(ref)}", soft_wrap=True)


def comparison(before: dict[str, Any], after: dict[str, Any]) -> Table:
    """One row per motion and their mean: completed %, joint error and return before → after."""
    table = Table(title="every clip once from its first frame, deterministic policy")
    table.add_column("motion")
    for name in ("completed %", "joint error (m)", "return"):
        table.add_column(f"{name} before → after", justify="right")
    old = {motion["name"]: motion for motion in before["motions"]}
    for motion in after["motions"]:
        table.add_row(motion["name"], *_cells(old[motion["name"]], motion))
    table.add_section()
    table.add_row("mean", *_cells(before["mean"], after["mean"]))
    return table


def _cells(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    columns = (("completed_fraction", "{:.0%}"), ("joint_error_m", "{:.3f}"), ("return", "{:.2f}"))
    return [" → ".join(_text(values.get(key), form) for values in (before, after)) for key, form in columns]


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
