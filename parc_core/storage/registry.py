"""Models by name and version in a store, with their lineage.

models/<name>/<version>/<files>        content
models/<name>/<version>/manifest.json  what it is; written after the content
models/<name>/aliases/<alias>.json     points to a version; written last
"""

from __future__ import annotations

import contextlib
import re
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Union

from parc_core.errors import ConfigError, DataError
from parc_core.storage.atomic import PathLike, dump_json, sha256_bytes
from parc_core.storage.store import Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def register_model(
    store: Store,
    name: str,
    files: Dict[str, PathLike],
    manifest: Dict[str, Any],
    aliases: Sequence[str] = ("latest",),
) -> Dict[str, Any]:
    """Store a model as the next version of `name` and point the aliases to it.

    Of two registrations at the same time on a local store each gets its own version, and `latest` ends at the
    higher one. Interrupted, it leaves a version without manifest, which nothing points to and nobody counts.

    Args:
        store: where to.
        name: of the model.
        files: name in the registry -> local file.
        manifest: lineage and metrics, JSON; `name`, `version`, `created` and `files` are added.
        aliases: names that shall mean this version.

    Returns:
        The manifest, with `ref` (uri and sha256 of manifest.json) added.

    Raises:
        DataError: a file is missing.
        ConfigError: a name that cannot be used, or the store cannot be written.
    """
    _check_name("model name", name)
    for alias in aliases:
        _check_name("alias", alias)
        if alias.isdigit():
            raise ConfigError(f"alias '{alias}': a number would be taken for a version; use a word")
    for key, path in files.items():
        _check_name("file name", key)
        if key == "manifest.json":
            raise ConfigError("file name 'manifest.json' is the registry's own; use another")
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file to register as {key} of model '{name}'")
    version = _claim_version(store, name)
    folder = f"models/{name}/{version}"
    refs = {key: store.put_file(path, f"{folder}/{key}") for key, path in files.items()}
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    full = {**manifest, "name": name, "version": version, "created": created, "files": refs}
    ref = store.put_json(full, f"{folder}/manifest.json")
    with _aliases_locked(store, name):
        for alias in aliases:
            if alias != "latest" or version >= _alias_version(store, name, alias):
                store.put_json({"version": version, "manifest": ref}, _alias_key(name, alias))
    return {**full, "ref": ref}


def resolve_model(store: Store, name: str, version: Union[int, str] = "latest") -> Dict[str, Any]:
    """The manifest of a model, with `ref` added.

    Args:
        store: where to look.
        name: of the model.
        version: a number (3 or "3") or an alias.

    Raises:
        DataError: no such model, version or alias (those there are are named), or it is damaged.
    """
    text = str(version)
    if text.isdigit():
        key, sha256 = f"models/{name}/{text}/manifest.json", None
    else:
        if not store.exists(_alias_key(name, text)):
            raise _unknown(store, name, text)
        alias = store.read_json(_alias_key(name, text))
        key, sha256 = f"models/{name}/{alias['version']}/manifest.json", alias["manifest"]["sha256"]
    if not store.exists(key):
        raise _unknown(store, name, text)
    manifest = store.read_json(key, sha256)
    if sha256 is None:
        sha256 = sha256_bytes(store.read_bytes(key))
    return {**manifest, "ref": {"uri": store.uri(key), "sha256": sha256}}


def fetch_model(store: Store, model: Dict[str, Any], folder: PathLike) -> Dict[str, Path]:
    """Copy a resolved model's files to `folder`, each checked against its SHA-256.

    Returns:
        Local path by file name.

    Raises:
        DataError: a file is missing or damaged.
    """
    base = f"models/{model['name']}/{model['version']}"
    return {
        name: store.get_file(f"{base}/{name}", Path(folder) / name, ref["sha256"])
        for name, ref in model["files"].items()
    }


def list_versions(store: Store, name: str) -> List[int]:
    """Versions of a model that are whole, ascending."""
    found = []
    for key in store.list(f"models/{name}"):
        parts = key.split("/")
        if len(parts) == 4 and parts[2].isdigit() and parts[3] == "manifest.json":
            found.append(int(parts[2]))
    return sorted(found)


def _claim_version(store: Store, name: str) -> int:
    taken = [int(p[2]) for p in (k.split("/") for k in store.list(f"models/{name}")) if p[2].isdigit()]
    version = max(taken, default=0) + 1
    who = {"by": uuid.uuid4().hex}
    while not store.create(f"models/{name}/{version}/claim.json", dump_json(who).encode()):
        version += 1
    return version


def _alias_key(name: str, alias: str) -> str:
    return f"models/{name}/aliases/{alias}.json"


def _alias_version(store: Store, name: str, alias: str) -> int:
    key = _alias_key(name, alias)
    return int(store.read_json(key)["version"]) if store.exists(key) else 0


@contextlib.contextmanager
def _aliases_locked(store: Store, name: str) -> Iterator[None]:
    """One writer of aliases at a time on a local store; object storage has no locks."""
    if store.root is None:
        yield
        return
    import fcntl

    with open(store.root / "models" / name / ".lock", "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released with the file, also when this process is killed
        yield


def _unknown(store: Store, name: str, version: str) -> DataError:
    versions = list_versions(store, name)
    if not versions:
        return DataError(f"model '{name}': none registered in {store.url}; register one or set PARC_STORE")
    known = [k.rpartition("/")[2][: -len(".json")] for k in store.list(f"models/{name}/aliases")]
    choice = ", ".join([*map(str, versions[-5:]), *known])
    return DataError(f"model '{name}' has no version or alias '{version}'; there are {choice}")


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{what} '{name}': use letters, digits, '.', '_' and '-' alone")
