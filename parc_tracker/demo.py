"""`parc-tracker demo`: the whole pipeline on a small sample dataset, in minutes on two cores."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from parc_tracker.motions import make_motions
from parc_tracker.next_steps import after_run
from parc_tracker.tables import only_json

FOLDER = Path(".parc/demo")
CONFIG = "data/configs/demo/tracker.yaml"
# Walking over terrain, short enough that a few minutes of training show: what starts from the reference's own targets
# falls after 1.5 to 2 s.
KINDS = ["walk", "step_up", "step_down", "stairs", "gap", "platform", "blocks"]
SECONDS = 2.2


def run_demo(s3: bool = False, as_json: bool = False) -> None:
    """Generates sample motions, runs the flow on them, and shows the table.

    Everything goes to `.parc/demo` in the working folder: motions, store, Prefect's own files.

    Args:
        s3: put the store on an S3 server that is started for it (SeaweedFS, below the same folder).
        as_json: print the result as JSON.

    Raises:
        ConfigError: SeaweedFS is not installed.
    """
    folder = FOLDER.absolute()
    store = None if "PARC_STORE" in os.environ else str(folder / "store")
    with _object_store(folder) if s3 else contextlib.nullcontext():
        os.environ.setdefault("PARC_STORE", str(folder / "store"))
        _run(folder, as_json, _no_steps if s3 else functools.partial(after_run, store=store))


@contextlib.contextmanager
def _object_store(folder: Path) -> Iterator[None]:
    """An S3 server with the demo's store while the context lasts."""
    from parc_tracker.object_server import ObjectServer

    with ObjectServer(folder / "objects") as server:
        os.environ.update(server.environment())
        os.environ["PARC_STORE"] = f"s3://{server.bucket}/demo"
        os.environ.setdefault("PARC_WORK", str(folder / "work"))
        os.environ.setdefault("PARC_CACHE", str(folder / "cache"))
        yield


def _no_steps(_name: str, _version: int, _model: Path) -> dict[str, str]:
    """The S3 server ends with the demo, so that no command finds the model there."""
    return {}


def _run(folder: Path, as_json: bool, next_steps: Callable[[str, int, Path], dict[str, str]]) -> None:
    began = time.monotonic()
    os.environ.setdefault("PARC_INDEX", str(folder / "motion_index.json"))
    os.environ.setdefault("PREFECT_HOME", str(folder / "prefect"))
    from parc_tracker.flow import run_flow, show_result

    with only_json(as_json):
        print("generating sample motions")
        make_motions(KINDS, 1, 0, folder / "motions", SECONDS)
        print("starting Prefect (its first start takes about 15 s)")
        result = run_flow(Path(CONFIG))
    show_result(result, as_json, next_steps)
    with only_json(as_json):
        print(f"{time.monotonic() - began:.0f} s; run it again: finished stages come from the cache")
