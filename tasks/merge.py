"""Stage 1: motion folders into one folder of checked motions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import get_run_logger

from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.paths import existing_file
from parc_core.config.schema import from_mapping
from parc_core.motion.merge import inputs_fingerprint, merge_folders
from parc_core.motion.merge_result import read_merge_result, write_merge_result
from parc_core.run_folder import store_folder
from parc_core.storage.atomic import sha256_file
from tasks.caching import Result, content_key, file_ref, local_path, stage

_MOTION = "clip file_index files merge merge_result motion_folders parallel safe_pickle"
CODE = (
    *(f"parc_core/motion/{name}.py" for name in _MOTION.split()),
    "parc_core/rotations.py",
    "parc_core/character",
    "parc_core/terrain/heightfield.py",
)


def _inputs(parameters: dict[str, Any]) -> Any:
    """Settings, contents of the motions, and content of the character, which says what a valid motion is."""
    config = from_mapping(DatasetConfig, parameters["dataset_config"], "dataset config")
    character = None
    if config.char_filepath:
        character = sha256_file(existing_file(config.char_filepath, "char_filepath", "dataset config"))
    return [parameters, inputs_fingerprint(config), character]


def _copies_are_there(result: Result) -> bool:
    merged = read_merge_result(local_path(result["merge"]))
    return all(merged.path_of(motion).is_file() for motion in merged.motions)


@stage(
    name="merge motions",
    code=CODE,
    inputs=_inputs,
    still_good=_copies_are_there,
)
def merge_motions(dataset_config: dict[str, Any]) -> Result:
    """Checks all motions of the config's folders and copies the good ones into the store.

    Args:
        dataset_config: the keys of a dataset creation config.

    Returns:
        `merge` (reference), `motions`, `rejected`, `duplicates` (counts).
    """
    log = get_run_logger()
    config = from_mapping(DatasetConfig, dataset_config, "dataset config")
    merged = merge_folders(
        config, store_folder(), progress=lambda done, total, what: log.info("%s: %d of %d", what, done, total)
    )
    # The same inputs merged with other settings are another result.
    name = content_key("merge", (), [dataset_config, merged.fingerprint]).rpartition("-")[2][:16]
    path = store_folder() / "merges" / f"{name}.json"
    write_merge_result(path, merged)
    for item in merged.rejected[:20]:
        log.warning("left out: %s: %s", item.path, item.reason)
    return {
        "merge": file_ref(Path(path)),
        "motions": len(merged.motions),
        "rejected": len(merged.rejected),
        "duplicates": len(merged.duplicates),
    }
