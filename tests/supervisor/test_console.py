"""The training's bar in a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from parc_core.supervisor.console import TrainingBar


def bar_in_a_terminal() -> tuple[TrainingBar, io.StringIO]:
    text = io.StringIO()
    return TrainingBar(Console(file=text, force_terminal=True, width=120, highlight=False)), text


def test_there_is_a_sign_of_life_before_the_trainer_speaks() -> None:
    bar, text = bar_in_a_terminal()
    with bar:
        bar._bar.refresh()
        assert "starting" in text.getvalue() and "0:00:00" in text.getvalue()


def test_it_never_passes_its_end_and_stays_one_bar() -> None:
    bar, text = bar_in_a_terminal()
    with bar:
        for _ in range(2):  # the trainer was started again
            bar.listener.event({"event": "start", "samples": 0, "max_samples": 30_000})
        bar.listener.event({"event": "heartbeat", "samples": 12_000})
        bar._bar.refresh()
        bar.listener.event({"event": "output", "samples": 30_720, "Samples_Per_Second": 1500.0})
    (task,) = bar._bar.tasks
    assert (task.completed, task.total, task.percentage) == (30_000, 30_000, 100.0)
    shown = text.getvalue()
    assert "12,000 of 30,000 samples" in shown and "30,000 of 30,000 samples" in shown and "1,500/s" in shown
    assert "30,720" not in shown


def test_a_pipe_gets_the_lines_alone() -> None:
    text = io.StringIO()
    with TrainingBar(Console(file=text, width=120)) as bar:
        bar.listener.event({"event": "start", "samples": 0, "max_samples": 30_000})
        bar.listener.output("a line [bold]of the trainer")
    assert text.getvalue() == "a line [bold]of the trainer\n"
