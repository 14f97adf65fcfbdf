"""Signs of life in a terminal."""

from __future__ import annotations

import io
import time

from rich.console import Console

from parc_tracker.progress import working


def test_work_is_seen_in_a_terminal() -> None:
    text = io.StringIO()
    with working("starting Prefect", Console(file=text, force_terminal=True, width=80)):
        time.sleep(0.3)
    frames = text.getvalue().count("starting Prefect")
    assert frames >= 2  # it moves


def test_a_pipe_sees_nothing() -> None:
    text = io.StringIO()
    with working("starting Prefect", Console(file=text, width=80)):
        pass
    assert text.getvalue() == ""
