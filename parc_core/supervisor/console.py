"""The training's progress bar; plain lines where the output is not a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from parc_core.supervisor.supervise import Listener


class TrainingBar:
    """The trainer's table scrolling above a bar of its samples."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} samples"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: Any = None

    def __enter__(self) -> TrainingBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def listener(self) -> Listener:
        """What the supervisor talks to."""
        return Listener(event=self._event, output=self._print, note=self._print)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False)

    def _event(self, event: dict[str, Any]) -> None:
        samples = event.get("samples")
        if event.get("event") == "start":
            total = event.get("max_samples") or 1
            self._task = self._bar.add_task("training", total=total, completed=samples or 0, speed="")
        elif self._task is not None and isinstance(samples, int):
            speed = event.get("Samples_Per_Second")
            if isinstance(speed, (int, float)):
                self._bar.update(self._task, speed=f"{speed:,.0f}/s")
            self._bar.update(self._task, completed=samples)
