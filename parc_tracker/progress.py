"""Progress bars for the terminal; plain lines where the output is not a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.text import Text


@contextlib.contextmanager
def counting_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, for work that reports (done, total)."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task(what, total=None)
    with bar:
        yield lambda done, total: bar.update(task, completed=min(done, total), total=total)


@contextlib.contextmanager
def working(what: str, console: Console | None = None) -> Iterator[None]:
    """Says what is going on, with a moving sign, while the context lasts; nothing where nobody looks at a terminal.

    On standard error, so that output for programs stays what it is.
    """
    console = console or Console(stderr=True)
    # Without redirection: a logger that is set up meanwhile keeps the stream that it finds.
    sign = Live(
        Spinner("dots", Text(what)),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with sign if console.is_terminal else contextlib.nullcontext():
        yield
