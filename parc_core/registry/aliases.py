"""Words that mean a version of a model; moved by compare-and-swap, so that no move is lost."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass
from typing import Callable, Dict, Optional

from parc_core.errors import DataError, StoreUnreachable
from parc_core.registry.manifest import NAME, checked_alias
from parc_core.storage.store import Ref, Store
from parc_core.system import json_text
from parc_core.system.files import dump_json

_TRIES = 100


@dataclass(frozen=True)
class Alias:
    """What an alias file says."""

    version: int
    sha256: str
    """Of the version's manifest."""
    seen: int = 0
    """Newest version when somebody chose this one by hand; 0 where nobody did."""


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
    seen: int = 0,
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
        seen: newest version, where the alias is set by hand.

    Returns:
        Whether it was moved.

    Raises:
        StoreUnreachable: others move it all the time.
    """
    key = _key(name, alias)
    by_hand = {"seen": seen} if seen else {}
    data = dump_json({"version": version, "manifest": manifest, **by_hand}).encode("utf-8")
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
    return {word: alias.version for word, alias in all_aliases(store, name).items()}


def aliased_digests(store: Store, name: str) -> Dict[int, str]:
    """SHA-256 of the manifest by version, of those that an alias means."""
    return {alias.version: alias.sha256 for alias in all_aliases(store, name).values()}


def all_aliases(store: Store, name: str) -> Dict[str, Alias]:
    """What each alias means; damaged files are left out."""
    found = {}
    for key in store.list(f"models/{name}/aliases"):
        alias, dot, ending = key.rpartition("/")[2].rpartition(".")
        content = store.read_versioned(key) if dot and ending == "json" and NAME.fullmatch(alias) else None
        if content is not None:
            with contextlib.suppress(DataError):
                found[alias] = _parsed(content[0], "alias")
    return found


def _version(data: bytes) -> int:
    """0 for what is not an alias: it is overwritten."""
    try:
        return _parsed(data, "alias").version
    except DataError:
        return 0


def _parsed(data: bytes, where: str) -> Alias:
    try:
        value = json_text.parse(data)
    except (ValueError, RecursionError):
        value = None
    version = checked_alias(value, where)
    seen = value.get("seen") if value else 0
    return Alias(version, value["manifest"]["sha256"] if value else "", seen if type(seen) is int else 0)


def _key(name: str, alias: str) -> str:
    return f"models/{name}/aliases/{alias}.json"
