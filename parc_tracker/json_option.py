"""The option of every command that prints a table."""

from __future__ import annotations

from typing import Annotated

import typer

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for programs on stdout, everything else on stderr.")
]
