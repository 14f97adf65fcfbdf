"""A model out of the registry, with all that evaluating it needs: the folder works wherever it is moved."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional
from urllib.parse import urlparse
from urllib.request import url2pathname

from parc_core.config.paths import DATA_ROOT, existing_file, read_mapping, resolve
from parc_core.config.resolve import AGENT_FILE, CHARACTER_FILE, ENV_FILE, format_yaml
from parc_core.errors import DataError
from parc_core.motion.dataset.dataset_cache import content_digests
from parc_core.motion.dataset.dataset_file import (
    MotionEntry,
    MotionsFile,
    display_names,
    manifest_path,
    read_motions_yaml,
    write_motions_yaml,
)
from parc_core.registry.manifest import Manifest
from parc_core.registry.models import fetch_model
from parc_core.registry.names import MODEL_FILE, is_reference, resolve_reference
from parc_core.storage.references import work_folder
from parc_core.storage.store import Ref, Store, local_root
from parc_core.storage.transfers import Progress
from parc_core.system.files import content_sha256, dump_json, sha256_bytes, write_json, write_text
from parc_core.training.fingerprint import dataset_content

DATASET = "dataset/motions.yaml"
"""Of a pulled folder; `dm_env.yaml` names it whether the motions were pulled or not."""


def is_remote(place: str) -> bool:
    """Whether this is an address in object storage."""
    return "://" in place and local_root(place) is None


def local_place(place: str) -> str:
    """A path as it is, `file://` as the path that it means."""
    root = local_root(place) if "://" in place else None
    return place if root is None else str(root)


def kept_for(address: str) -> Path:
    """This machine's folder for what an address holds."""
    return work_folder() / "recordings" / sha256_bytes(address.encode())[:16]


def model_folder(model: str, with_dataset: bool, where: str) -> Path:
    """A model's file on this machine, with the files beside it.

    Args:
        model: a path, an address (`s3://…/model.pt`) or a model of the registry.
        with_dataset: of the registry's, the motions, too.
        where: what messages say the setting belongs to.

    Raises:
        ConfigError: there is no such file.
        DataError: there is no such model, or it is damaged.
    """
    if is_reference(model):
        store = Store()
        manifest = resolve_reference(model, store)
        folder = work_folder(store) / "pulled" / manifest["name"] / str(manifest["version"])
        pull_model(store, manifest, folder, with_dataset)
        if MODEL_FILE not in manifest["files"]:
            raise DataError(f"{model}: has no {MODEL_FILE}; register it again")
        return folder / MODEL_FILE
    if not is_remote(model):
        return existing_file(local_place(model), "model_file", where)
    address, _, name = model.rpartition("/")
    store, folder = Store(address), kept_for(address)
    if not store.exists(name):
        raise DataError(f"{store.uri(name)}: no such model; correct the address")
    for beside in (ENV_FILE, AGENT_FILE, CHARACTER_FILE):
        if store.exists(beside):
            store.get_file(beside, folder / beside)
    return store.get_file(name, folder / name)


def pull_model(
    store: Store, model: Manifest, to: Path, with_dataset: bool = False, progress: Optional[Progress] = None
) -> List[Path]:
    """Copies a model's files to a folder, verified, and lets its `dm_env.yaml` name what lies there.

    Args:
        store: where the model is.
        model: as `resolve_model` found it.
        to: the folder.
        with_dataset: its motions, too, to `dataset/`.
        progress: called with (done, total).

    Returns:
        The files.

    Raises:
        DataError: a file is missing or damaged, or the motions are neither in the store nor on this machine.
    """
    files = list(fetch_model(store, model, to, progress).values())
    write_text(to / "manifest.json", dump_json(model))
    if ENV_FILE not in model["files"]:
        if with_dataset:
            raise DataError(
                f"{model['name']} version {model['version']}: has no {ENV_FILE}; its motions are not known"
            )
        return files
    env = read_mapping(to / ENV_FILE)
    settings = _section(env, "env")
    character = (
        []
        if CHARACTER_FILE in model["files"]
        else _bring_character(store, model, settings, to / CHARACTER_FILE)
    )
    if character or CHARACTER_FILE in model["files"]:
        settings["char_file"] = CHARACTER_FILE
    else:
        _note(f"{to / ENV_FILE}: its character {settings.get('char_file')} is neither in the store nor here")
    files += character
    if with_dataset:
        files += _bring_dataset(store, model, settings, to / DATASET, progress)
    elif (to / DATASET).is_file():
        _note(f"{to / DATASET} is of an earlier pull; give --with-dataset for the motions of this model")
    # Places of the machine that trained; a file of failure rates is for drawing motions in training only.
    _section(settings, "dm").update(motion_file=DATASET, terrain_save_path=None, fail_rates_path=None)
    write_text(to / ENV_FILE, format_yaml(env))
    return files


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _section(mapping: Dict[str, Any], key: str) -> Dict[str, Any]:
    if not isinstance(mapping.get(key), dict):
        mapping[key] = {}
    return mapping[key]


def _bring_character(store: Store, model: Manifest, settings: Dict[str, Any], to: Path) -> List[Path]:
    """Of a model that was registered without its character: from the store, else from this machine."""
    ref = _part(model, "lineage", "configs", "character")
    if _is_ref(ref):
        key = _key(store, ref["uri"], "files/")
        if key and store.exists(key):
            return [store.get_file(key, to, ref["sha256"])]
    name = str(settings.get("char_file") or "data/assets/humanoid.xml")
    for place in (DATA_ROOT / name, resolve(name)):
        if place.is_file() and (not _is_ref(ref) or content_sha256(place) == ref["sha256"]):
            to.write_bytes(place.read_bytes())
            return [to]
    return []


def _bring_dataset(
    store: Store, model: Manifest, settings: Dict[str, Any], to: Path, progress: Optional[Progress]
) -> List[Path]:
    """The motions that a model was trained on, and their `motions.yaml`."""
    manifest = _part(model, "lineage", "dataset", "manifest")
    if _is_ref(manifest):
        return _bring_built(store, manifest, to, progress)
    named = _section(settings, "dm").get("motion_file")
    source = resolve(named) if isinstance(named, str) and named else None
    if source is None or not source.is_file():
        raise DataError(
            f"{model['name']} version {model['version']}: its motions are not in the store but were at {source},"
            " which is not here; pull without --with-dataset and give eval a --dataset"
        )
    return _bring_given(source, _part(model, "lineage", "dataset", "sha256"), to, progress)


def _bring_built(store: Store, manifest: Ref, to: Path, progress: Optional[Progress]) -> List[Path]:
    """A dataset that the pipeline built: its motions lie in the store, each with its SHA-256 in the manifest."""
    key = _key(store, manifest["uri"], "datasets/")
    if key is None:
        raise DataError(
            f"{manifest['uri']}: not in the store {store.url}; give --store the one that holds it"
        )
    listed = store.read_json(key, manifest["sha256"])
    try:
        motions = [(str(m["file"]), float(m["weight"]), str(m["facts"]["sha256"])) for m in listed["motions"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DataError(f"{store.uri(key)}: not a manifest of a dataset; build the dataset again") from None
    if any(Path(file).name != file for file, _, _ in motions):
        raise DataError(f"{store.uri(key)}: refused, a motion's name could leave the folder")
    folder = to.parent / "motions"
    wanted = [(f"motions/{file}", folder / file, sha256) for file, _, sha256 in motions]
    store.get_many(wanted, progress)
    write_json(manifest_path(to), listed)
    write_motions_yaml(
        to, MotionsFile([MotionEntry(f"motions/{file}", weight) for file, weight, _ in motions])
    )
    read_motions_yaml(to)
    return [path for _, path, _ in wanted]


def _bring_given(source: Path, sha256: Any, to: Path, progress: Optional[Progress]) -> List[Path]:
    """A dataset that a config named: it lies where it was, on this machine."""
    found = read_motions_yaml(source)
    if isinstance(sha256, str) and dataset_content(str(source)) != sha256:
        raise DataError(
            f"{source}: not the dataset that the model was trained on any more; pull without --with-dataset and give"
            " eval a --dataset"
        )
    names = display_names(source, found)
    copies = []
    for number, entry in enumerate(found.entries):
        target = to.parent / "motions" / f"{number:05d}_{os.path.basename(entry.file)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(resolve(entry.file), target)
        except OSError as error:
            raise DataError(f"{entry.file}: cannot be copied ({error.strerror or error})") from None
        copies.append(target)
        if progress is not None:
            progress(number + 1, len(found.entries))
    terrain = None
    if found.terrain is not None:
        terrain = f"terrain_{os.path.basename(found.terrain)}"
        shutil.copyfile(resolve(found.terrain), to.parent / terrain)
    files = [f"motions/{copy.name}" for copy in copies]
    named = [{"file": file, "name": name} for file, name in zip(files, names)]
    write_json(manifest_path(to), {"motions": named})
    entries = [MotionEntry(file, entry.weight) for file, entry in zip(files, found.entries)]
    write_motions_yaml(to, MotionsFile(entries, terrain))
    if content_digests(copies) != content_digests([resolve(entry.file) for entry in found.entries]):
        raise DataError(f"{source}: changed while it was copied; pull again")
    return copies


def _part(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_ref(value: Any) -> bool:
    return (
        isinstance(value, dict) and isinstance(value.get("uri"), str) and isinstance(value.get("sha256"), str)
    )


def _key(store: Store, uri: str, folder: str) -> Optional[str]:
    """The key of a file of this store, also where the store was elsewhere when the address was written."""
    path = url2pathname(urlparse(uri).path) if uri.startswith("file:") else uri
    head, found, tail = path.rpartition(f"/{folder}")
    return f"{folder}{tail}" if found and head else None
