"""Runs that end early: cancelled by somebody, or stopped with their worker.

Whether a run was cancelled is asked of the server: a worker that died delivers no signal any more.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, ClassVar
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.logging import get_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Crashed

from parc_core.errors import EXIT_INTERRUPTED, ParcError

SECONDS_BETWEEN = 5.0
_STOPPED = (StateType.CANCELLING, StateType.CANCELLED)


RESUMES = "resumes from the last checkpoint"


class RunEnded(ParcError):
    """The run ends before its work does; the training has a checkpoint."""

    exit_code = EXIT_INTERRUPTED
    state_type: ClassVar[StateType]

    def state(self) -> State[Any]:
        """The run's state on the server, and that of the stage which was under way."""
        make = Cancelled if self.state_type == StateType.CANCELLED else Crashed
        return make(message=str(self))


class RunCancelled(RunEnded):
    """Somebody cancelled the run."""

    state_type = StateType.CANCELLED


class RunStopped(RunEnded):
    """The run's process was asked to end, as workers do that are stopped. Crashed runs are started again."""

    state_type = StateType.CRASHED


def ended_early(state: State[Any]) -> RunEnded:
    """The error that a stage's state came from."""
    kind = RunCancelled if state.type == StateType.CANCELLED else RunStopped
    return kind(state.message or "")


CANCELLED = f"the run was cancelled; a new run, or Retry, {RESUMES}"
STOPPED = f"the worker was stopped; the run {RESUMES} as soon as a worker takes it"


def ended_by_signal() -> RunEnded | None:
    """Why this process got SIGTERM; None in a run that no worker started, whose own command says it."""
    if deployment.get_id() is None:
        return None
    try:
        cancelled = any(map(_is_cancelled, _own_runs()))
    except Exception as error:  # noqa: BLE001 - a server that is away: the automation for crashed runs decides later
        get_logger(__name__).debug("state of the run unknown: %s", error)
        cancelled = False
    return RunCancelled(CANCELLED) if cancelled else RunStopped(STOPPED)


class _Watch(threading.Thread):
    """Asks now and then, in a thread of its own: a server that is away blocks such a call for long."""

    def __init__(self, run_ids: list[UUID]) -> None:
        super().__init__(name="cancel", daemon=True)
        self._runs = run_ids
        self.cancelled = False
        self.ended = threading.Event()
        self.errors = 0

    def run(self) -> None:
        while not self.ended.wait(SECONDS_BETWEEN):
            try:
                self.cancelled = any(map(_is_cancelled, self._runs))
            except Exception as error:  # noqa: BLE001 - whatever the client raises, work continues without an answer
                self.errors += 1
                get_logger(__name__).debug("state of the run unknown (%d times): %s", self.errors, error)
            if self.cancelled:
                return


_WATCH: ContextVar[_Watch | None] = ContextVar("cancel_watch", default=None)


@contextlib.contextmanager
def watching_for_cancel() -> Iterator[None]:
    """Inside, `check_cancelled` knows whether this run, or the one that called it, was cancelled."""
    watch = _Watch(_own_runs())
    token = _WATCH.set(watch)
    watch.start()
    try:
        yield
    finally:
        watch.ended.set()
        _WATCH.reset(token)


def check_cancelled(*_: Any) -> None:
    """Raises `RunCancelled` once the run was cancelled; takes no time."""
    watch = _WATCH.get()
    if watch is not None and watch.cancelled:
        raise RunCancelled(CANCELLED)


def _own_runs() -> list[UUID]:
    found = (flow_run.get_id(), flow_run.get_root_flow_run_id())
    return [UUID(run_id) for run_id in dict.fromkeys(found) if run_id]


def _is_cancelled(run_id: UUID) -> bool:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    return state is not None and state.type in _STOPPED
