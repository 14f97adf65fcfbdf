"""Stages whose results are kept by content: same inputs, settings and code = nothing runs again.

A stage's result is a small JSON object of references (`{"uri": …, "sha256": …}`); the big things stay in the
store. A kept result is believed only while all that it refers to is there and unchanged.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Generic, ParamSpec
from urllib.parse import urlparse
from urllib.request import url2pathname

from prefect import Task
from prefect.cache_policies import CacheKeyFnPolicy

from parc_core.config.paths import PROJECT_ROOT
from parc_core.run_folder import store_folder
from parc_core.storage.atomic import sha256_file
from parc_core.storage.store import Ref

P = ParamSpec("P")
Result = dict[str, Any]

_MOTION = (
    "clip dataset_arrays dataset_cache dataset_file file_index files joined_frames library loading parallel "
    "safe_pickle terrain_file"
)
SIMULATION = (
    "parc_core/rotations.py",
    *(f"parc_core/{room}" for room in ("character", "engines", "envs", "terrain")),
    *(f"parc_core/motion/{name}.py" for name in _MOTION.split()),
)
"""Source of what happens in the environment: part of the key of each stage that steps it."""


def file_ref(path: Path | str) -> Ref:
    """Reference to a file on this machine: where it lies and what it holds."""
    return {"uri": Path(path).absolute().as_uri(), "sha256": sha256_file(path)}


def local_path(ref: Ref) -> Path:
    """The file that a reference on this machine means."""
    return Path(url2pathname(urlparse(ref["uri"]).path))


def references(value: Any) -> Iterable[Ref]:
    """All references inside a result, at any depth."""
    if isinstance(value, dict):
        if value.keys() == {"uri", "sha256"}:
            yield value
        else:
            for item in value.values():
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def missing(result: Result) -> str | None:
    """The first file that a result refers to and that is gone or changed, or None."""
    for ref in references(result):
        path = local_path(ref)
        if not path.is_file() or sha256_file(path) != ref["sha256"]:
            return ref["uri"]
    return None


def content_key(name: str, code: Iterable[str], inputs: Any) -> str:
    """The cache key of a stage: its code and its inputs; files count by content, not by place."""
    text = json.dumps([code_version(*code), _without_places(inputs)], sort_keys=True, default=str)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()}"


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"uri", "sha256"}:
            return value["sha256"]
        return {key: _without_places(item) for key, item in value.items()}
    return [_without_places(item) for item in value] if isinstance(value, list | tuple) else value


SOURCES = (".py", ".j2")
"""Endings of files that are code; what else a stage reads (configs, characters) is one of its inputs."""


@functools.cache
def code_version(*places: str) -> str:
    """Hash of the source files of some folders or files of the project."""
    digest = hashlib.sha256()
    for place in places:
        path = PROJECT_ROOT / place
        files = [file for file in path.rglob("*") if file.suffix in SOURCES] if path.is_dir() else [path]
        for file in sorted(files):
            digest.update(file.read_bytes())
    return digest.hexdigest()


class Stage(Generic[P]):
    """A function as a Prefect task with a kept result. Call it inside a flow; `.fn` is the function itself."""

    def __init__(
        self,
        fn: Callable[P, Result],
        code: tuple[str, ...],
        inputs: Callable[[dict[str, Any]], Any],
        still_good: Callable[[Result], bool],
        options: dict[str, Any],
    ) -> None:
        self.fn = fn
        self._code = (*code, f"tasks/{Path(inspect.getfile(fn)).name}")
        self._inputs = inputs
        self._still_good = still_good
        self.task: Task[P, Result] = Task(
            fn,
            cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda _, parameters: self.key(parameters)),
            persist_result=True,
            result_serializer="json",
            cache_result_in_memory=False,
            **options,
        )
        functools.update_wrapper(self, fn)

    def key(self, parameters: dict[str, Any]) -> str:
        """The cache key for these arguments."""
        return content_key(self.task.name, self._code, self._inputs(parameters))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result:
        kept = self.task.with_options(result_storage=store_folder() / "results")
        state = kept(*args, **kwargs, return_state=True)
        result = state.result()
        if state.name == "Cached" and not (missing(result) is None and self._still_good(result)):
            # Prefect returns a kept result without looking at what it refers to.
            result = kept.with_options(refresh_cache=True)(*args, **kwargs)
        return result


def stage(
    *,
    code: tuple[str, ...],
    inputs: Callable[[dict[str, Any]], Any] = lambda parameters: parameters,
    still_good: Callable[[Result], bool] = lambda result: True,
    **options: Any,
) -> Callable[[Callable[P, Result]], Stage[P]]:
    """Makes a function a `Stage`.

    Args:
        code: folders of the project whose source is part of the cache key.
        inputs: from the call's arguments to what the key is made of.
        still_good: looks at what a kept result means beside its references.
        options: of the Prefect task (name, retries, …).
    """
    return lambda fn: Stage(fn, code, inputs, still_good, options)
