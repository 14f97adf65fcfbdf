"""Words that mean a version of a model; moved by compare-and-swap, so that no move is lost."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Callable, Dict, Optional

from parc_core.errors import DataError, StoreUnreachable
from parc_core.registry.manifest import NAME, checked_alias
from parc_core.storage.store import Ref, Store
from parc_core.system.files import dump_json

_TRIES = 100


@dataclass(frozen=True)
class Alias:
    """What an alias file says."""

    version: int
    sha256: str
    """Of the version's manifest."""


def read_alias(store: Store, name: str, alias: str) -> Optional[Alias]:
    """What an alias means, or None where there is none.

    Raises:
        DataError: the file is not an alias.
    """
    found = store.read_versioned(_key(name, alias))
    return None if found is None else _parsed(found[0], store.uri(_key(name, alias)))


def point_alias(
    store: Store,
    name: str,
    alias: str,
    version: int,
    manifest: Ref,
    stays: Callable[[int], bool] = lambda means: False,
) -> bool:
    """Let an alias mean a version.

    Args:
        store: the store.
        name: of the model.
        alias: the word.
        version: what it shall mean.
        manifest: reference to that version's manifest.
        stays: asked with the version that the alias means before it is moved (0: the file is not an alias); where it
            returns True the alias is left alone.

    Returns:
        Whether it was moved.

    Raises:
        StoreUnreachable: others move it all the time.
    """
    key = _key(name, alias)
    data = dump_json({"version": version, "manifest": manifest}).encode("utf-8")
    for _ in range(_TRIES):
        found = store.read_versioned(key)
        if found is None:
            done = store.create(key, data)
        elif stays(_version(found[0])):
            return False
        else:
            done = store.replace(key, data, found[1])
        if done:
            return True
        time.sleep(random.uniform(0.0, 0.1))
    raise StoreUnreachable(f"{store.uri(key)}: others change this alias all the time; try again later")


def alias_versions(store: Store, name: str) -> Dict[str, int]:
    """Version by alias; damaged files are left out."""
    found = {}
    for key in store.list(f"models/{name}/aliases"):
        alias, dot, ending = key.rpartition("/")[2].rpartition(".")
        content = store.read_versioned(key) if dot and ending == "json" and NAME.fullmatch(alias) else None
        version = _version(content[0]) if content is not None else 0
        if version:
            found[alias] = version
    return found


def _version(data: bytes) -> int:
    """0 for what is not an alias: it is overwritten."""
    try:
        return _parsed(data, "alias").version
    except DataError:
        return 0


def _parsed(data: bytes, where: str) -> Alias:
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        value = None
    return Alias(checked_alias(value, where), value["manifest"]["sha256"] if value else "")


def _key(name: str, alias: str) -> str:
    return f"models/{name}/aliases/{alias}.json"
