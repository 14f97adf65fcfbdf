"""What the docstrings under a config's fields say: for the page of all keys and for the form of a run."""

from __future__ import annotations

import ast
import inspect
from typing import Any, Dict, Type


def attribute_docs(cls: Type[Any]) -> Dict[str, str]:
    """The docstring under each attribute of a class, on one line."""
    body = ast.parse(inspect.getsource(cls)).body[0].body  # type: ignore[attr-defined]
    docs = {}
    for statement, after in zip(body, body[1:]):
        if isinstance(statement, ast.AnnAssign) and isinstance(after, ast.Expr):
            docs[statement.target.id] = " ".join(ast.literal_eval(after.value).split())  # type: ignore[union-attr]
    return docs
