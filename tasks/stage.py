"""Stages whose results are cached by content: same inputs, settings and code = nothing runs again.

A stage's result is a small JSON object of references (`{"uri": …, "sha256": …}`); the big things stay in the
store. A cached result is valid only while all that it refers to is there and unchanged. Results are read and
written here, as JSON and nothing else: Prefect's own reader obeys the serializer that a stored result names, which
lets whoever can write to the store run code.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Generic, ParamSpec, cast

from prefect import Task, get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import TerminationSignal
from prefect.states import Completed, State

from parc_core.errors import StoreUnreachable
from parc_core.storage.lease import Lease, LeaseLost
from parc_core.storage.references import missing
from parc_core.storage.store import Store
from parc_core.system.files import sha256_bytes
from tasks.cancel import RunEnded, check_cancelled, ended_by_signal, ended_early
from tasks.code_version import code_version
from tasks.results import Result, content_key, file_name, read_result, write_result
from tasks.stage_names import check_stages

P = ParamSpec("P")

_REFRESH: ContextVar[frozenset[str]] = ContextVar("refresh", default=frozenset())
_HELD: ContextVar[Lease | None] = ContextVar("lease", default=None)
STORE_RETRIES = [10, 30, 120]  # s


@contextlib.contextmanager
def refreshing(names: Iterable[str]) -> Iterator[None]:
    """Inside, the stages of these names (`merge_motions`, `train`, …) re-run, ignoring their cached results.

    Raises:
        ConfigError: there is no such stage.
    """
    wanted = frozenset(names)
    check_stages(sorted(wanted))
    token = _REFRESH.set(wanted)
    try:
        yield
    finally:
        _REFRESH.reset(token)


def held_lease() -> Lease | None:
    """The lease under which a stage runs, where it has one."""
    return _HELD.get()


def by_result(_parameters: dict[str, Any], key: str) -> str:
    """A lease for each result."""
    return f"leases/{file_name(key)}"


STAGES: dict[str, Stage[Any]] = {}
"""All stages by the names of their functions."""


def store_is_away(_task: Any, _run: Any, state: Any) -> bool:
    """The one failure that another attempt of a stage can fix; crashed trainers are restarted inside it."""
    return isinstance(state.result(raise_on_failure=False), StoreUnreachable)


class Stage(Generic[P]):
    """A function as a Prefect task with a cached result. Call it inside a flow; `.fn` is the function itself."""

    __name__: str

    def __init__(
        self,
        fn: Callable[P, Result],
        runs: tuple[str, ...],
        inputs: Callable[[dict[str, Any]], Any],
        is_valid: Callable[[Result], bool],
        lease: Callable[[dict[str, Any], str], str | None],
        options: dict[str, Any],
    ) -> None:
        self.fn = fn
        self._runs = runs
        self._own_source = Path(inspect.getfile(fn))
        self._inputs = inputs
        self._is_valid = is_valid
        self._lease = lease
        functools.update_wrapper(self, fn)
        options = {
            "retries": len(STORE_RETRIES),
            "retry_delay_seconds": STORE_RETRIES,
            "retry_jitter_factor": 0.3,
            "retry_condition_fn": store_is_away,
            **options,
        }
        self.task: Task[P, Any] = Task(
            self._body(), cache_policy=NO_CACHE, persist_result=False, cache_result_in_memory=False, **options
        )

    def key(self, parameters: dict[str, Any]) -> str:
        """The cache key for these arguments."""
        return content_key(self.task.name, self.code_version(), self._inputs(parameters))

    def code_version(self) -> str:
        """Changes with the stage's own file and all that the modules which do the work can run.

        What carries the work (this module, supervision, the stage's helpers) is left out: it changes no result.
        """
        return sha256_bytes(self._own_source.read_bytes() + code_version(*self._runs).encode())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result:
        result: Any = self.task(*args, **kwargs)
        if isinstance(result, State) and not result.is_completed():
            raise ended_early(result)
        if isinstance(result, State):  # a cached result; Prefect has wrapped it by now
            result = getattr(result.data, "result", result.data)
        return cast(Result, result)

    def cached(self, key: str) -> Result | None:
        """The cached result of a key, or None where there is none or it is no longer valid."""
        result = read_result(key)
        if result is None or missing(result) is not None or not self._is_valid(result):
            return None
        return result

    def _body(self) -> Callable[P, Any]:
        """What the task does: look for the result, else make it, under a lease where two would do the same work."""

        @functools.wraps(self.fn)
        def body(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                return work(*args, **kwargs)
            except RunEnded as error:
                return error.state()
            except TerminationSignal:  # left to Prefect, it reads as a crash of the stage, whoever sent it
                ended = ended_by_signal()
                if ended is None:
                    raise
                return ended.state()

        def work(*args: P.args, **kwargs: P.kwargs) -> Any:
            bound = inspect.signature(self.fn).bind(*args, **kwargs)
            bound.apply_defaults()
            key = self.key(dict(bound.arguments))
            refresh = self.__name__ in _REFRESH.get()
            if not refresh and (result := self.cached(key)) is not None:
                return _state(result)
            lease = self._lease(dict(bound.arguments), key)
            if lease is None:
                return self._make(key, *args, **kwargs)
            return self._under_lease(lease, key, *args, **kwargs)

        return body

    def _under_lease(self, lease: str, key: str, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Makes the result while nobody else does, or takes it from whoever held the lease."""
        log = get_run_logger()
        while True:
            try:
                with Lease(Store(), lease, log.warning, check_cancelled) as held:
                    if held.waited and (result := self.cached(key)) is not None:
                        return _state(result)
                    token = _HELD.set(held)
                    try:
                        return self._make(key, *args, **kwargs)
                    finally:
                        _HELD.reset(token)
            except LeaseLost as error:
                log.warning("%s", error)

    def _make(self, key: str, *args: P.args, **kwargs: P.kwargs) -> Result:
        result = self.fn(*args, **kwargs)
        write_result(key, result)
        return result


def _state(result: Result) -> State[Any]:
    return Completed(name="Cached", message="cached result of the same work", data=result)


def stage(
    *,
    runs: tuple[str, ...],
    inputs: Callable[[dict[str, Any]], Any] = lambda parameters: parameters,
    is_valid: Callable[[Result], bool] = lambda result: True,
    lease: Callable[[dict[str, Any], str], str | None] = lambda parameters, key: None,
    **options: Any,
) -> Callable[[Callable[P, Result]], Stage[P]]:
    """Makes a function a `Stage`.

    Args:
        runs: modules that do the work; their source and all that they import is part of the cache key, as is the
            stage's own file.
        inputs: from the call's arguments to what the key is made of.
        is_valid: whether a cached result still holds, beyond its references.
        lease: from arguments and cache key to the key of a lease: of two runs at the same work one does it, the
            other waits and takes the result. None: both do it.
        options: of the Prefect task (name, retries, …).
    """

    def make(fn: Callable[P, Result]) -> Stage[P]:
        made = Stage(fn, runs, inputs, is_valid, lease, options)
        STAGES[fn.__name__] = made
        return made

    return make
