"""JSON of files and stores, read within bounds: the only place that reads it, except for lines of our own processes."""

from __future__ import annotations

import json
import re
from typing import Any, List, Union

MAX_DEPTH = 100
"""Containers inside each other; ours have about six."""
_SURROGATES = re.compile("[\ud800-\udfff]")


def parse(data: Union[str, bytes]) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: no JSON, not UTF-8, too deep for what walks through it, a number of thousands of digits, or text
            that is no Unicode (which nothing can print or store).
    """
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"more than {MAX_DEPTH} levels inside each other") from None
    _check(value)
    return value


def _check(value: Any) -> None:
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels inside each other")
        inner: List[Any] = []
        for item in level:
            if isinstance(item, dict):
                for key in item:
                    _check_text(key)
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
            elif isinstance(item, str):
                _check_text(item)
        level, depth = inner, depth + 1


def _check_text(text: str) -> None:
    if not text.isascii() and _SURROGATES.search(text):
        raise ValueError("text with half a character (a lone surrogate)")
