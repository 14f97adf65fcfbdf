"""Which stages there are, found without Prefect: a wrong name is said before anything starts."""

from __future__ import annotations

import ast
import difflib
import functools
from collections.abc import Iterable
from pathlib import Path

from parc_core.errors import ConfigError


@functools.cache
def stage_names() -> tuple[str, ...]:
    """Names of the functions in this package that `stage(…)` decorates."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.FunctionDef) and any(map(_is_stage, node.decorator_list)):
                found.append(node.name)
    return tuple(found)


def _is_stage(decorator: ast.expr) -> bool:
    made = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(made, ast.Name) and made.id == "stage"


def check_stages(names: Iterable[str]) -> None:
    """Refuses what is no stage.

    Raises:
        ConfigError: names the nearest, and all.
    """
    for name in names:
        if name not in stage_names():
            [near] = difflib.get_close_matches(name, stage_names(), n=1, cutoff=0.0)
            raise ConfigError(
                f"refresh: there is no stage '{name}'; do you mean '{near}'? There are {', '.join(stage_names())}"
            )
