"""Running the flow from the command line, and showing what came out."""

from __future__ import annotations

import contextlib
import importlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.table import Table

from parc_core.config.tracker_config import NEEDS_FOLDERS
from parc_core.errors import ConfigError, Interrupted
from parc_core.system.signals import raising
from parc_tracker.configured_server import check_server, without_unusable_proxies
from parc_tracker.embedded_server import EmbeddedServer
from parc_tracker.next_steps import after_run, say_next
from parc_tracker.progress import working
from parc_tracker.tables import cell, print_json, print_table

if TYPE_CHECKING:
    from parc_core.evaluation.result import ClipResult, EvalResult

Numbers = tuple[float, float, float]
"""Tracked share, joint error (m), return."""
RESUME = "run the same command to resume from the last checkpoint"


def run_flow(config: Path, refresh: Sequence[str] = (), iterations: int = 1) -> dict[str, Any]:
    """Runs the flow in this process, with Prefect's embedded server unless one is configured.

    Args:
        config: a tracker config.
        refresh: stages to re-run, ignoring their cached results.
        iterations: how many, each with what the last model recorded.
    """
    from parc_core.supervisor.preflight import check_runnable
    from tasks.stage_names import check_stages

    with raising(
        _terminated, [signal.SIGTERM]
    ):  # Prefect, which catches it during a flow, passes it on to us
        check_stages(refresh)
        tracker = check_runnable(config)  # said in one line, before a server starts
        if iterations > 1 and tracker.create_dataset_config is None:
            raise ConfigError(NEEDS_FOLDERS)
        with working("starting Prefect"):
            dropped = without_unusable_proxies()
            server = EmbeddedServer()
            server.start()
            importlib.import_module("parc_core.evaluate")  # seconds in which the server starts
            server.use()
            if not server.is_ours:
                check_server(dropped)
            from prefect.exceptions import CancelledRun

            from flows.tracker_iteration import tracker_iteration

            is_own = server.wait()
        with _with_own_server() if is_own else contextlib.nullcontext():
            try:
                return cast(dict[str, Any], tracker_iteration(str(config), list(refresh), iterations))
            except CancelledRun as error:  # what Prefect makes of the flow's state Cancelled
                raise Interrupted(f"the run was cancelled; {RESUME}") from error


@contextlib.contextmanager
def _with_own_server() -> Iterator[None]:
    """What a run needs not where its server ends with it."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    logging.getLogger("prefect.flow_runs").addFilter(_is_no_address)
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # its end costs up to a second
        yield


def _is_no_address(record: logging.LogRecord) -> bool:
    """Leaves out where Prefect says the run can be viewed: the embedded server has no UI."""
    return not record.getMessage().startswith("View at ")


def _terminated(number: int) -> Interrupted:
    return Interrupted(f"stopped by {signal.Signals(number).name}; {RESUME}")


def show_result(
    result: dict[str, Any],
    as_json: bool = False,
    next_steps: Callable[[str, int, Path], dict[str, str]] = after_run,
) -> None:
    """A table of the motions before and after, and where things lie; as JSON for programs.

    Args:
        next_steps: what can be done with a model's name, version and file.
    """
    from parc_core.evaluation.result import load
    from parc_core.storage.references import local_path
    from tasks.record import address

    before, after = (load(local_path(result[name]["evaluation"])) for name in ("before", "after"))
    model = result["model"]
    refs = {"model": model["model"], "report": result["after"]["report"], "video": result["after"]["video"]}
    places = {name: str(local_path(ref)) for name, ref in refs.items() if ref is not None}
    recording = result["recording"]
    if recording is not None:
        places["recorded"] = address(recording)
    if as_json:
        registered = {name: model[name] for name in ("name", "version")}
        numbers = {"before": before.to_json(), "after": after.to_json()}
        recorded = recording and recording["summary"]
        print_json({"model": registered, **numbers, "recording": recorded, "files": places})
        return
    print_table(comparison(before, after))
    if before.held_out is not None and after.held_out is not None:
        print_table(
            comparison(before.held_out, after.held_out, "Held-out clips, which the training never saw")
        )
    if len(result["iterations"]) > 1:
        print_table(iterations_table(result["iterations"]))
    for name, place in places.items():
        print(f"{name:<8} {place}")
    print(f"{'registry':<8} {model['name']} version {model['version']}")
    say_next(next_steps(model["name"], model["version"], Path(places["model"])))


def iterations_table(iterations: Sequence[dict[str, Any]]) -> Table:
    """One row per iteration: its motions, how well they are tracked, how many were recorded and how well."""
    from parc_core.evaluation.result import percent

    table = Table(title="Iterations, each on the motions that the one before has recorded, too")
    table.add_column("iteration", justify="right")
    table.add_column("model")
    for name in ("completed", "tracked", "joint error (m)", "recorded", "penetration (m)", "skating (m/s)"):
        table.add_column(name, justify="right")
    for number, each in enumerate(iterations, start=1):
        after, recorded = each["after"]["summary"], each["recording"]["summary"]
        quality = recorded["quality"]
        numbers = (quality[name] for name in ("penetration_mean_m", "foot_skating_m_s"))
        table.add_row(
            str(number),
            cell(f"{each['model']['name']} version {each['model']['version']}"),
            f"{after['completed']} of {after['clips']}",
            percent(after["mean_completed_fraction"]),
            f"{after['joint_error_m']:.3f}",
            f"{recorded['recorded']} of {recorded['motions']}",
            *("-" if number is None else f"{number:.3f}" for number in numbers),
        )
    return table


def comparison(
    before: EvalResult,
    after: EvalResult,
    title: str = "Before → after training, each clip once from its start",
) -> Table:
    """One row per motion and their mean: tracked share, joint error and return before → after."""
    table = Table(title=title)
    table.add_column("motion")
    for name in ("tracked", "joint error (m)", "return"):
        table.add_column(name, justify="right")
    table.add_column("ended by")
    old = {clip.name: clip for clip in before.clips}
    for clip in after.clips:
        earlier = old[clip.name]
        ended = [earlier.end_reason, clip.end_reason]
        numbers = _cells(_clip_numbers(earlier), _clip_numbers(clip))
        table.add_row(cell(clip.name), *numbers, cell(" → ".join(dict.fromkeys(ended))))
    table.add_section()
    summaries = (before.summary, after.summary)
    means = [(each.shown_tracked_share, each.joint_error_m, each.mean_return) for each in summaries]
    completed = f"{before.summary.completed} → {after.summary.completed} of {after.summary.clips} completed"
    table.add_row("mean", *_cells(*means), completed)
    return table


def _clip_numbers(clip: ClipResult) -> Numbers:
    return clip.shown_share, clip.joint_error_m, clip.episode_return


def _cells(before: Numbers, after: Numbers) -> list[str]:
    from parc_core.evaluation.result import percent

    forms = (percent, "{:.3f}".format, "{:.1f}".format)
    return [f"{form(old)} → {form(new)}" for form, old, new in zip(forms, before, after, strict=True)]
