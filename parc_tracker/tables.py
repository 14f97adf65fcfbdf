"""What commands and benchmarks print for people, with nothing cut off, and as JSON for programs."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_MIN_TEXT_WIDTH = 12
"""Of a column with names, where the terminal is narrow: they are folded, not cut."""
_FRAME_PER_COLUMN, _FRAME = 3, 1
"""Characters of the frame: two spaces and a line per column, and one more line."""


def print_table(table: Table, console: Console | None = None) -> None:
    """Prints a table whose every cell is whole.

    In a file or a pipe each row is one line, however long. In a terminal names are folded as far as needed; numbers
    (columns justified to the right) never are, so that on a very narrow one lines are longer than the terminal.
    """
    console = console or Console()
    natural = Measurement.get(console, console.options.update(width=100_000), table).maximum
    if console.is_terminal and natural > console.width:
        _fit(table, console.width)
        natural = max(sum(column.width or 0 for column in table.columns) + _frame(table), 1)
    for column in table.columns:
        column.overflow = "fold"
    wide = Console(
        file=console.file, width=natural, force_terminal=console.is_terminal, no_color=console.no_color
    )
    title, caption, table.title, table.caption = table.title, table.caption, None, None
    for part in (title, table, caption):
        if part:  # a title inside the table would be wrapped at its width
            wide.print(part, crop=False, soft_wrap=part is not table, highlight=False)


def printable(text: object) -> str:
    """Without control characters and halves of characters: what a file says must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def cell(text: object) -> Text:
    """A text as a table shows it, with nothing of it interpreted."""
    return Text(printable(text))


def _frame(table: Table) -> int:
    return _FRAME_PER_COLUMN * len(table.columns) + _FRAME


def _fit(table: Table, width: int) -> None:
    """Sets the columns' widths so that the table is as wide as the terminal, or as near as it can be."""
    widths = [max(_lengths(column, table.show_header), default=1) for column in table.columns]
    least = [
        min(wanted, max(_least(column, table.show_header), _MIN_TEXT_WIDTH * (column.justify != "right")))
        for column, wanted in zip(table.columns, widths, strict=True)
    ]
    room = width - _frame(table)
    while sum(widths) > room and widths != least:
        widest = max(
            (place for place in range(len(widths)) if widths[place] > least[place]), key=widths.__getitem__
        )
        widths[widest] -= 1
    for column, wanted in zip(table.columns, widths, strict=True):
        column.width = wanted


def _lengths(column: Column, with_header: bool) -> list[int]:
    return [_length(cell) for cell in [*([column.header] if with_header else []), *column.cells]]


def _least(column: Column, with_header: bool) -> int:
    """Of a number, its length; of a heading, its longest word."""
    heading = max((cell_len(word) for word in str(column.header).split()), default=1) if with_header else 1
    return heading if column.justify != "right" else max([heading, *(_length(cell) for cell in column.cells)])


def _length(cell: Any) -> int:
    text = cell if isinstance(cell, Text) else Text.from_markup(str(cell))
    return max((cell_len(line) for line in text.plain.split("\n")), default=1) or 1


def print_json(value: Any) -> None:
    """Prints plain containers as JSON that any reader takes: ASCII, and null for numbers that are not finite."""
    print(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def only_json(wanted: bool) -> Iterator[None]:
    """While it lasts whatever is printed goes to stderr, where JSON is wanted: stdout is for that."""
    with contextlib.redirect_stdout(sys.stderr) if wanted else contextlib.nullcontext():
        yield
