"""Results of stages in the store: under which key, and when one is valid."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from parc_core.errors import DataError
from parc_core.storage.references import references
from parc_core.storage.store import Store

Result = dict[str, Any]


def content_key(name: str, code: str, inputs: Any) -> str:
    """The cache key of a stage: its code's version and its inputs; files count by content, not by place."""
    text = json.dumps([code, _without_places(inputs)], sort_keys=True, default=str)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()}"


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"uri", "sha256"}:
            return value["sha256"]
        return {key: _without_places(item) for key, item in value.items()}
    return [_without_places(item) for item in value] if isinstance(value, list | tuple) else value


def file_name(key: str) -> str:
    """Of a result or lease, by its cache key."""
    return f"{key.replace(' ', '-')}.json"


def write_result(key: str, result: Result) -> None:
    """Stores a result, after all that it refers to."""
    Store().put_json({"format": 1, "key": key, "result": result}, f"results/{file_name(key)}")


def read_result(key: str) -> Result | None:
    """The result stored under a key; None where there is none, or one that no stage wrote."""
    store = Store()
    try:
        found = store.read_json(f"results/{file_name(key)}")
    except DataError:
        return None
    if not isinstance(found, dict) or found.get("format") != 1 or found.get("key") != key:
        return None
    result = found.get("result")
    if not isinstance(result, dict) or not all(map(_is_ref, references(result))):
        return None
    if store.root is None and any(ref["uri"].startswith("file:") for ref in references(result)):
        return None  # some machine's own file; results of such a store name files in it
    return result


def _is_ref(ref: dict[str, Any]) -> bool:
    return isinstance(ref["uri"], str) and isinstance(ref["sha256"], str)
