"""The training's progress bar, which moves from the start on; plain lines where the output is not a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from parc_core.supervisor.supervise import Listener


class TrainingBar:
    """The trainer's table scrolling above a bar of its samples."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[samples]}"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        # Loading thousands of clips takes a while: the bar moves before the trainer speaks.
        self._task = self._bar.add_task("starting", total=None, samples="", speed="")
        self._total: int | None = None

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
        samples, speed = event.get("samples"), event.get("Samples_Per_Second")
        if event.get("event") == "start":
            self._total = event.get("max_samples") or 1
            self._bar.update(self._task, description="training", total=self._total)
        if self._total is None:
            return
        if isinstance(samples, int):
            # The last iteration may go beyond.
            shown = min(samples, self._total)
            self._bar.update(self._task, completed=shown, samples=f"{shown:,} of {self._total:,} samples")
        if isinstance(speed, (int, float)):
            self._bar.update(self._task, speed=f"{speed:,.0f}/s")
