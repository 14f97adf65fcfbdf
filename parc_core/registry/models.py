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

from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

from parc_core.errors import DataError
from parc_core.registry.aliases import alias_versions, read_alias
from parc_core.registry.claims import known_digest
from parc_core.registry.manifest import (
    MAX_BYTES,
    NAME,
    OWN_FILES,
    VERSION,
    Manifest,
    check_name,
    checked_manifest,
)
from parc_core.storage.store import Store
from parc_core.storage.transfers import Progress, damaged
from parc_core.system.files import PathLike, sha256_bytes


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


def _unknown(store: Store, name: str, version: str) -> DataError:
    versions = list_versions(store, name)
    if not versions:
        return DataError(f"model '{name}': none registered in {store.url}; register one or set PARC_STORE")
    choice = ", ".join([*map(str, versions[-5:]), *list_aliases(store, name)])
    return DataError(f"model '{name}' has no version or alias '{version}'; there are {choice}")
