"""A trained model becomes the next version of a name: what is checked before, and the order of writing."""

from __future__ import annotations

import os
import platform
import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from parc_core.errors import ConfigError, DataError
from parc_core.registry.claims import claim_version, note_manifest
from parc_core.registry.gate import failed_rules, gated_numbers
from parc_core.registry.manifest import OWN_FILES, Manifest, check_alias, check_name
from parc_core.registry.promotion import heal_aliases, set_aliases
from parc_core.storage.store import Store
from parc_core.system.files import PathLike, dump_json, sha256_bytes


def register_model(
    store: Store,
    name: str,
    files: Mapping[str, PathLike],
    manifest: Mapping[str, Any],
    aliases: Sequence[str] = ("latest",),
    gate: Optional[Mapping[str, float]] = None,
    metrics: Optional[Mapping[str, Any]] = None,
) -> Manifest:
    """Store a model as the next version of `name` and point the aliases to it, `best` too if it is better.

    Of two registrations at the same time each gets its own version, and `latest` ends at the higher one.
    Interrupted, it leaves a version without manifest, which nothing points to and nobody counts, or one whose aliases
    the next registration or listing sets (`heal_aliases`).

    Args:
        store: where to.
        name: of the model.
        files: name in the registry -> local file.
        manifest: lineage and metrics, JSON; `name`, `version`, `created`, `files`, `sizes`, `machine` and `gate` are
            added.
        aliases: names that shall mean this version.
        gate: limits (`failed_rules`); a model that breaks one is registered but gets neither `latest` nor `best`.
        metrics: what the gate looks at; default `gated_numbers(manifest)`.

    Returns:
        The manifest, with `ref` (uri and sha256 of manifest.json) added; `gate["failed"]` lists the broken rules.

    Raises:
        DataError: a file is missing, or a number in `manifest` is not finite.
        ConfigError: a name that cannot be used, a gate without its metric or limit, or the store cannot be written.
    """
    check_name("model name", name)
    for alias in aliases:
        check_alias(alias)
    _check_files(name, files)
    verdict = _verdict(manifest, gate, metrics)
    _check_numbers(name, manifest)
    heal_aliases(store, name)
    version, claim = claim_version(store, name)
    folder = f"models/{name}/{version}"
    stored = store.put_many([(path, f"{folder}/{key}") for key, path in files.items()])
    full = {
        **manifest,
        "name": name,
        "version": version,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": manifest.get("machine") or _machine(),
        "files": {key: stored[f"{folder}/{key}"] for key in files},
        "sizes": {key: os.path.getsize(path) for key, path in files.items()},
        **verdict,
    }
    data = dump_json(full).encode("utf-8")
    note_manifest(store, name, version, claim.by, sha256_bytes(data), aliases)
    model = {**full, "ref": store.put_bytes(data, f"{folder}/manifest.json")}
    set_aliases(store, model, aliases)
    return model


def _check_files(name: str, files: Mapping[str, PathLike]) -> None:
    for key, path in files.items():
        check_name("file name", key)
        if key in OWN_FILES:
            raise ConfigError(f"file name '{key}' is the registry's own; use another")
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file to register as {key} of model '{name}'")


def _check_numbers(name: str, manifest: Mapping[str, Any]) -> None:
    """Before a version number is taken."""
    try:
        dump_json(manifest)
    except ValueError:
        raise DataError(
            f"model '{name}': a number of its manifest or evaluation is not finite; evaluate it again"
        ) from None


def _verdict(
    manifest: Mapping[str, Any], gate: Optional[Mapping[str, float]], metrics: Optional[Mapping[str, Any]]
) -> Dict[str, Any]:
    if not gate:
        return {}
    if metrics is None:
        metrics = gated_numbers(manifest)
    return {"gate": {"rules": dict(gate), "failed": failed_rules(metrics, gate)}}


def _machine() -> Dict[str, str]:
    return {"host": socket.gethostname(), "system": platform.platform(), "python": platform.python_version()}
