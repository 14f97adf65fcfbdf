"""Models by name and version in a store, with their lineage.

models/<name>/<version>/claim.json     who took this number; of two writers one succeeds; digest of the manifest
models/<name>/<version>/<files>        content
models/<name>/<version>/manifest.json  what it is; written after the content
models/<name>/<version>/pending.json   from before the manifest until its aliases are set
models/<name>/aliases/<alias>.json     points to a version; written last, by compare-and-swap

On stores without conditional writes (`Store.conditional` is False) two writers within milliseconds could take the same
number: register from one place at a time there. Nothing of a model is unpickled here; manifests are checked before they
are believed.
"""

from __future__ import annotations

import os
import platform
import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from parc_core.errors import ConfigError, DataError
from parc_core.registry.aliases import alias_versions, all_aliases, point_alias, read_alias
from parc_core.registry.claims import (
    claim_version,
    known_digest,
    note_manifest,
    pending_versions,
    read_claim,
    settle,
)
from parc_core.registry.gate import (
    BEST,
    failed_rules,
    gated_numbers,
    is_better,
    scores_on_one_set,
    why_never_best,
)
from parc_core.registry.manifest import (
    MAX_BYTES,
    NAME,
    OWN_FILES,
    VERSION,
    Manifest,
    check_alias,
    check_name,
    checked_manifest,
)
from parc_core.storage.store import Store
from parc_core.storage.transfers import Progress, damaged
from parc_core.system.files import PathLike, dump_json, sha256_bytes

GATED = ("latest", BEST)
"""Aliases that a model which fails its gate does not get."""


def register_model(
    store: Store,
    name: str,
    files: Mapping[str, PathLike],
    manifest: Mapping[str, Any],
    aliases: Sequence[str] = ("latest",),
    gate: Optional[Mapping[str, float]] = None,
    metrics: Optional[Mapping[str, Any]] = None,
) -> Manifest:
    """Store a model as the next version of `name` and point the aliases to it, `best` too if it is (`_move_best`).

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
    _set_aliases(store, model, aliases)
    return model


def _set_aliases(store: Store, model: Manifest, aliases: Sequence[str]) -> None:
    """What remains to be done once a version is whole."""
    name, version = model["name"], model["version"]
    failed = (model.get("gate") or {}).get("failed")
    for alias in aliases:
        if not (failed and alias in GATED):
            newer_stays = (lambda means: means > version) if alias == "latest" else (lambda means: False)
            point_alias(store, name, alias, version, model["ref"], newer_stays)
    if BEST not in aliases:
        _move_best(store, model)
    settle(store, name, version)


def heal_aliases(store: Store, name: str) -> List[int]:
    """Sets the aliases of whole versions whose registration was cut off before it did.

    Those are the ones marked as pending, and the newest one where `latest` is older or absent, unless somebody pointed
    it there by hand since.

    Returns:
        The versions whose aliases were set.
    """
    versions = list_versions(store, name)
    cut_off = [version for version in pending_versions(store, name) if version in versions]
    if versions and versions[-1] not in cut_off and _is_newer_than_latest(store, name, versions[-1]):
        cut_off.append(versions[-1])
    healed = []
    for version in cut_off:
        claim, model = read_claim(store, name, version), _found(store, name, version)
        if claim is not None and claim.sha256 and model is not None:
            _set_aliases(store, model, claim.aliases)
            healed.append(version)
    return healed


def _is_newer_than_latest(store: Store, name: str, version: int) -> bool:
    """Whether a version was registered for `latest`, which is older and was not set by hand since."""
    latest = all_aliases(store, name).get("latest")
    if latest is not None and max(latest.version, latest.seen) >= version:
        return False
    claim, model = read_claim(store, name, version), _found(store, name, version)
    failed = (model or {}).get("gate") or {}
    return claim is not None and "latest" in claim.aliases and not failed.get("failed")


def _move_best(store: Store, model: Manifest) -> None:
    """Points `best` to a new model that is better (`is_better`) than what it means.

    Where there is no `best` yet, or what it means is gone or damaged, the best of all versions gets it, of equal ones
    the oldest, of such as cannot be compared the newest. A `best` that was given by hand to a model without numbers
    stays.
    """
    name = model["name"]
    if why_never_best(model):
        return
    present = alias_versions(store, name).get(BEST)
    if present is None or _found(store, name, present) is None:
        for version in reversed(list_versions(store, name)):
            other = _found(store, name, version)
            if other is not None and not why_never_best(other) and scores_on_one_set(model, other):
                model = model if is_better(model, other) else other

    def stays(means: int) -> bool:
        other = _found(store, name, means) if means else None
        return other is not None and not is_better(model, other)

    point_alias(store, name, BEST, model["version"], model["ref"], stays)


def why_not_best(store: Store, model: Manifest) -> str:
    """Why a registered model is not `best` now, in one line to tell its user; "" where it is."""
    present = alias_versions(store, model["name"]).get(BEST)
    if present == model["version"]:
        return ""
    reason = why_never_best(model)
    if reason:
        return f"not best: {reason}"
    old = _found(store, model["name"], present) if present else None
    if old is None:
        return "not best: no version is"
    if scores_on_one_set(model, old) is not None:
        return f"not best: version {present} is better, or as good on the same clips"
    return (
        f"not best: version {present} was evaluated on other clips, so the two are not compared; evaluate both on the"
        " same dataset (parc-tracker eval --dataset) and choose with parc-tracker models promote"
    )


def _found(store: Store, name: str, version: int) -> Optional[Manifest]:
    """`resolve_model`, or None where there is no such version or it is damaged."""
    try:
        return resolve_model(store, name, version)
    except DataError:
        return None


def resolve_model(store: Store, name: str, version: Union[int, str] = "latest") -> Manifest:
    """The manifest of a model, with `ref` added and its files' addresses in this store.

    Args:
        store: where to look.
        name: of the model.
        version: a number (3 or "3") or an alias.

    Raises:
        DataError: no such model, version or alias (those there are are named), or it is damaged or no manifest.
        ConfigError: a name that cannot be one.
    """
    check_name("model name", name)
    text = check_name("version", str(version))
    sha256 = None
    number = text
    if not text.isdigit():
        alias = read_alias(store, name, text)
        if alias is None:
            raise _unknown(store, name, text)
        number, sha256 = str(alias.version), alias.sha256
    key = f"models/{name}/{int(number)}/manifest.json"
    if not store.exists(key):
        raise _unknown(store, name, text)
    if store.size(key) > MAX_BYTES:
        raise DataError(f"{store.uri(key)}: refused, too large for a manifest")
    found = sha256 or sha256_bytes(store.read_bytes(key))
    manifest = checked_manifest(store.read_json(key, found), name, int(number), store.uri(key))
    sha256 = sha256 or known_digest(store, name, int(number)) or found
    if sha256 != found:  # asked by number: changed since it was registered
        raise damaged(store.uri(key), sha256, found)
    # Addresses as written would be the old ones in a store that was moved, and anybody's in one that was tampered with.
    base = f"models/{name}/{int(number)}"
    files = {
        file: {"uri": store.uri(f"{base}/{file}"), "sha256": ref["sha256"]}
        for file, ref in manifest["files"].items()
    }
    return {**manifest, "files": files, "ref": {"uri": store.uri(key), "sha256": sha256}}


def fetch_model(
    store: Store, model: Manifest, folder: PathLike, progress: Optional[Progress] = None
) -> Dict[str, Path]:
    """Copy a resolved model's files to `folder`, each checked against its SHA-256.

    Returns:
        Local path by file name.

    Raises:
        DataError: a file is missing, damaged, or not as large as the manifest says (looked at before it is fetched).
    """
    base = f"models/{model['name']}/{model['version']}"
    for name, size in model.get("sizes", {}).items():
        if name in model["files"] and store.size(f"{base}/{name}") != size:
            raise DataError(
                f"{store.uri(f'{base}/{name}')}: damaged, it has not the {size} bytes that the manifest says"
            )
    paths = {name: Path(folder) / name for name in model["files"]}
    wanted = [(f"{base}/{name}", paths[name], ref["sha256"]) for name, ref in model["files"].items()]
    store.get_many(wanted, progress)
    return paths


def promote(store: Store, name: str, version: Union[int, str], alias: str) -> Manifest:
    """Let `alias` mean a version, whatever it meant before and whatever its gate said.

    Args:
        store: the store.
        name: of the model.
        version: a number or another alias.
        alias: `latest`, `best`, `iteration-3`, or a word of one's own.

    Returns:
        The version's manifest.

    Raises:
        DataError, ConfigError: as `resolve_model`.
    """
    check_alias(alias)
    heal_aliases(store, name)  # what was cut off before must not move the alias afterwards
    model = resolve_model(store, name, version)
    seen = max([model["version"], *list_versions(store, name)])
    point_alias(store, name, alias, model["version"], model["ref"], seen=seen)
    return model


def list_models(store: Store) -> List[str]:
    """Names of the models that have at least one whole version."""
    names = {
        parts[1] for parts in _parts(store.list("models")) if len(parts) == 4 and parts[3] == OWN_FILES[0]
    }
    return sorted(name for name in names if NAME.fullmatch(name))


def list_versions(store: Store, name: str) -> List[int]:
    """Versions of a model that are whole, ascending."""
    check_name("model name", name)
    return sorted(
        int(parts[2])
        for parts in _parts(store.list(f"models/{name}"))
        if len(parts) == 4 and VERSION.fullmatch(parts[2]) and parts[3] == OWN_FILES[0]
    )


def list_aliases(store: Store, name: str) -> Dict[str, int]:
    """Version by alias; damaged aliases are left out."""
    return alias_versions(store, check_name("model name", name))


def _parts(keys: Sequence[str]) -> List[List[str]]:
    return [key.split("/") for key in keys]


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


def _unknown(store: Store, name: str, version: str) -> DataError:
    versions = list_versions(store, name)
    if not versions:
        return DataError(f"model '{name}': none registered in {store.url}; register one or set PARC_STORE")
    choice = ", ".join([*map(str, versions[-5:]), *list_aliases(store, name)])
    return DataError(f"model '{name}' has no version or alias '{version}'; there are {choice}")
