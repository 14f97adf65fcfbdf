"""What the UI shows of a training while it runs: a progress bar and a page with the last numbers."""

from __future__ import annotations

import contextvars
import shlex
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.context import TaskRunContext

from parc_core.evaluation.result import percent
from tasks.pictures import curves_svg, data_uri

SECONDS_BETWEEN = 2.0
SEND_TIMEOUT = 5.0
"""Seconds for a page that is sent once."""
SHOWN: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Train_Return", "return", "{:.2f}".format),
    ("Train_Episode_Length", "episode length (steps)", "{:.1f}".format),
    ("Completed", "episodes completed", percent),
    ("Eval_Completed", "clips completed", percent),
    ("Eval_Joint_Error", "joint error of completed (m)", "{:.3f}".format),
    ("Learning_Rate", "learning rate", "{:.2g}".format),
    ("Samples_Per_Second", "samples/s", "{:,.0f}".format),
    ("Wall_Time", "hours", "{:.2f}".format),
    ("Rollbacks", "rollbacks", "{:.0f}".format),
)


def show_page(key: str, text: str, description: str) -> None:
    """Shows a Markdown page with the run; a server that does not take it in time fails nothing.

    Args:
        key: of the artifact.
        text: Markdown.
        description: what the page is, for lists of artifacts.
    """
    _send_once(key, lambda: create_markdown_artifact(text, key=key, description=description))


def show_curves(folder: Path) -> None:
    """Shows the learning curves of a training folder with the run, as `show_page` does."""
    svg = curves_svg(folder)
    if svg:
        _send_once(
            "learning-curves",
            lambda: create_image_artifact(
                data_uri(svg), key="learning-curves", description="The training's curves over its samples"
            ),
        )


def _send_once(key: str, create: Callable[[], Any]) -> None:
    if TaskRunContext.get() is None:
        return
    log = get_run_logger()

    def send() -> None:
        try:
            create()
        except Exception as error:  # noqa: BLE001 - as for the training's
            log.warning("the page '%s' did not reach the server: %s", key, error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(send,), name=key, daemon=True)
    thread.start()
    thread.join(SEND_TIMEOUT)


class TrainingArtifacts:
    """Sends the newest numbers to the server from a thread of its own: a server that is away delays no training.

    `with TrainingArtifacts(...)` inside a task run; outside of one nothing is sent.
    """

    def __init__(self, max_samples: int, run_dir: Path) -> None:
        self._max, self._run_dir = max(max_samples, 1), run_dir
        self._latest: dict[str, Any] = {}
        self._samples = 0
        self._state = "starting"
        self._changed, self._ending = threading.Event(), threading.Event()
        self._progress: UUID | None = None
        self._page: UUID | None = None
        self._thread: threading.Thread | None = None
        self.errors = 0
        """Updates that did not reach the server; the next one says it all again."""

    def __enter__(self) -> TrainingArtifacts:
        if TaskRunContext.get() is not None:
            context = contextvars.copy_context()
            self._thread = threading.Thread(
                target=context.run, args=(self._send_for_ever,), name="artifacts", daemon=True
            )
            self._changed.set()
            self._thread.start()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is not None:
            self._state = "stopped"
        self._ending.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
            if self.errors:
                get_run_logger().warning(
                    "%d updates of the run's artifacts did not reach the server", self.errors
                )

    def event(self, event: dict[str, Any]) -> None:
        """Takes one object of progress.jsonl; returns at once."""
        if isinstance(event.get("samples"), int):
            self._samples = event["samples"]
        if event.get("event") == "output":
            self._latest = event
        if event.get("event") != "heartbeat":
            self._state = {"output": "training", "checkpoint": "training", "restored": "training"}.get(
                event["event"], event["event"]
            )
            self._changed.set()

    def _send_for_ever(self) -> None:
        while not self._ending.is_set():
            self._changed.wait()
            self._changed.clear()
            try:
                self._send()
            except Exception:  # noqa: BLE001 - whatever the client raises, training continues; it is counted
                self.errors += 1
            self._ending.wait(SECONDS_BETWEEN)
        try:
            self._send()
        except Exception:  # noqa: BLE001
            self.errors += 1

    def _send(self) -> None:
        share = min(100.0, 100.0 * self._samples / self._max)
        page = self.page()
        if self._progress is None:
            self._progress = _id(
                create_progress_artifact(
                    share, key="training-progress", description=f"Of {self._max:,} samples"
                )
            )
        else:
            update_progress_artifact(self._progress, share)
        if self._page is None:
            self._page = _id(
                create_markdown_artifact(
                    page, key="training", description="The training's last numbers, and where its curves are"
                )
            )
        else:
            with get_client(sync_client=True) as client:
                client.update_artifact(self._page, ArtifactUpdate(data=page))

    def page(self) -> str:
        """The page with the last numbers, Markdown."""
        rows = [f"| samples | {self._samples:,} of {self._max:,} |", f"| state | {self._state} |"]
        for name, label, form in SHOWN:
            value = self._latest.get(name)
            if isinstance(value, int | float):
                rows.append(f"| {label} | {form(value)} |")
        stamp = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        return "\n".join(
            [
                "# Training",
                f"{stamp}, on `{socket.gethostname()}` in `{self._run_dir}`",
                "",
                "| | |",
                "|---|---|",
                *rows,
                "",
                "On that machine:",
                "",
                f"- curves: `tensorboard --logdir {shlex.quote(str(self._run_dir / 'tensorboard'))}`",
                f"- table: `{self._run_dir / 'log.txt'}`",
            ]
        )


def _id(found: Any) -> UUID:
    return found if isinstance(found, UUID) else UUID(str(found))
