"""Stage 1: motion folders into one folder of checked motions."""

from __future__ import annotations

import dataclasses
from typing import Any

from prefect import get_run_logger

from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.paths import existing_file
from parc_core.config.schema import from_mapping
from parc_core.motion.dataset.merge import inputs_fingerprint, merge_folders
from parc_core.motion.dataset.merge_result import MergeResult, read_merge_result, write_merge_result
from parc_core.storage.references import fetch, file_ref, local_path, publish, work_folder
from parc_core.storage.store import Store
from parc_core.system.files import dump_json, sha256_bytes, sha256_file
from tasks.cancel import check_cancelled
from tasks.results import Result, content_key
from tasks.stage import stage

CAME_LATER = ("allow_implausible", "class_exponent")
"""Keys that earlier versions did not have; off at their defaults, which are false or 0."""
PLACES = ("folder_paths", "save_path", "char_filepath")
"""Keys of the dataset config that are places; what lies there counts by content."""
MOTIONS = "motions"
"""Folder of the copies, in the store and in the work folder."""


def _inputs(parameters: dict[str, Any]) -> Any:
    """Settings, contents of the motions, and content of the character, which says what a valid motion is."""
    config = from_mapping(DatasetConfig, parameters["dataset_config"], "dataset config")
    character = None
    if config.char_filepath:
        character = sha256_file(existing_file(config.char_filepath, "char_filepath", "dataset config"))
    return [settings_of(parameters["dataset_config"]), inputs_fingerprint(config), character]


def settings_of(dataset_config: dict[str, Any]) -> dict[str, Any]:
    """A dataset config without places; keys that came later count only where they are set."""
    return {
        key: value
        for key, value in dataset_config.items()
        if key not in PLACES and not (key in CAME_LATER and not value)
    }


def merged_here(merged: Result) -> MergeResult:
    """The result of `merge_motions` with this machine's folder of the copies."""
    found = read_merge_result(local_path(merged["merge"]))
    return dataclasses.replace(found, motions_dir=str(work_folder() / MOTIONS))


def name_what_was_left_out(merged: Result) -> None:
    """Each rejected file with its reason, and what reading others changes, in the log of the flow: also where the
    merge itself is a cached result."""
    log = get_run_logger()
    for line in merged_here(merged).remarks():
        log.warning("%s", line)


def copies(merged: MergeResult) -> list[tuple[str, Any, str]]:
    """(key, local file, SHA-256) of each kept motion."""
    return [(f"{MOTIONS}/{m.file}", merged.path_of(m), m.sha256) for m in merged.motions]


def _copies_are_there(result: Result) -> bool:
    """All motions are on this machine and in the store; what is damaged there is removed, to be made again."""
    store = Store()
    files = copies(merged_here(result))
    bad = fetch(files)
    if store.root is None:
        there = set(store.list(MOTIONS))
        for key in bad:
            store.delete(key)
        bad += [key for key, _, _ in files if key not in there]
    return not bad


@stage(
    name="merge motions",
    runs=("parc_core.motion.dataset.merge",),
    inputs=_inputs,
    is_valid=_copies_are_there,
)
def merge_motions(dataset_config: dict[str, Any]) -> Result:
    """Checks all motions of the config's folders and copies the good ones into the store.

    Args:
        dataset_config: the keys of a dataset creation config.

    Returns:
        `merge` (reference), `sha256` of what was kept, `motions`, `rejected`, `duplicates` (counts).
    """
    log = get_run_logger()
    config = from_mapping(DatasetConfig, dataset_config, "dataset config")

    def progress(done: int, total: int, what: str) -> None:
        check_cancelled()
        log.info("%s: %d of %d", what, done, total)

    merged = merge_folders(config, work_folder(), progress=progress)
    publish(copies(merged))
    # The same inputs merged with other settings are another result.
    name = content_key("merge", "", [settings_of(dataset_config), merged.fingerprint]).rpartition("-")[2][:16]
    path = work_folder() / "merges" / f"{name}.json"
    write_merge_result(path, dataclasses.replace(merged, motions_dir=MOTIONS))
    return {
        "merge": file_ref(path),
        "sha256": _content(merged),
        "motions": len(merged.motions),
        "rejected": len(merged.rejected),
        "duplicates": len(merged.duplicates),
    }


def _content(merged: MergeResult) -> str:
    """Of what was kept, and what was not; where the inputs lay does not count."""
    kept = [[m.file, m.name, m.motion_class, m.sha256] for m in merged.motions]
    others = [[item.motion_class, item.path.rpartition("/")[2]] for item in merged.rejected]
    return sha256_bytes(dump_json([kept, others, merged.classes, merged.fingerprint]).encode())
