"""Which source files a stage can run, and a hash of them: part of its cache key."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from pathlib import Path

from parc_core.config.paths import PROJECT_ROOT

PACKAGES = ("parc_core", "tasks", "flows", "deployments", "parc_tracker")
"""Whose source counts; other packages' versions do not."""

TEMPLATES = ("*.j2", "*.js", "*.css")
"""Files beside modules that these read."""


VERSION_LINE = re.compile(rb"^__version__ = .*$", re.MULTILINE)
"""A release by itself changes no result."""


@functools.cache
def code_version(*roots: str) -> str:
    """SHA-256 of all source that these modules can run: their own and what they import, lazily too.

    Args:
        roots: module names, such as `parc_core.train`.

    Raises:
        ValueError: a root is not a module of this project.
    """
    digest = hashlib.sha256()
    for path in sorted(source_files(*roots)):
        digest.update(path.relative_to(PROJECT_ROOT).as_posix().encode())
        digest.update(VERSION_LINE.sub(b"", path.read_bytes()))
    return digest.hexdigest()


def source_files(*roots: str) -> set[Path]:
    """Files of the modules that can be reached from `roots`, with the templates that lie beside them."""
    found: dict[str, Path] = {}
    queue = list(roots)
    while queue:
        name = queue.pop()
        path = module_file(name)
        if path is None and name in roots:
            raise ValueError(f"{name} is not a module of this project")
        if path is None or name in found:
            continue
        found[name] = path
        if "." in name:
            queue.append(name.rpartition(".")[0])
        queue += imported_names(path.read_bytes())
    parents = {path.parent for path in found.values()}
    templates = {file for parent in parents for kind in TEMPLATES for file in parent.glob(kind)}
    return {*found.values(), *templates}


def module_file(name: str) -> Path | None:
    """The source of a module of this project; None for other packages' modules and for what is not a module."""
    if name.partition(".")[0] not in PACKAGES or not all(map(str.isidentifier, name.split("."))):
        return None
    base = PROJECT_ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@functools.cache
def imported_names(source: bytes) -> tuple[str, ...]:
    """Names that a source imports anywhere, or writes as a text; each is parsed once, for all stages.

    `from a import b` gives `a` and `a.b`. A text that names a module counts: engines are imported by name, and
    processes are started as `python -m parc_core.train`. What stands under `if TYPE_CHECKING` is never run.
    """
    names: list[str] = []
    queue: list[ast.AST] = [ast.parse(source)]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            queue += node.orelse
            continue
        queue += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            names.append(node.value)
    return tuple(names)
