"""Stage 2: merged motions into the weighted `motions.yaml`."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from prefect import get_run_logger

from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.schema import from_mapping
from parc_core.errors import DataError
from parc_core.motion.dataset.build import build_dataset as build
from parc_core.motion.dataset.dataset_file import MotionsFile, read_motions_yaml, write_motions_yaml
from parc_core.motion.dataset.held_out import overlap_warning
from parc_core.storage.references import fetch, file_ref, local_path, work_folder
from parc_core.storage.store import Store
from parc_core.system.files import PathLike, content_sha256
from parc_core.training.fingerprint import dataset_content
from tasks.merge import copies, merged_here, settings_of
from tasks.results import Result, content_key
from tasks.stage import stage


def _motions_are_there(result: Result) -> bool:
    try:
        dataset_here(result)
    except DataError:
        return False
    return all(
        Path(entry.file).is_file() for entry in read_motions_yaml(local_path(result["motions_yaml"])).entries
    )


def _inputs(parameters: dict[str, Any]) -> Any:
    return [parameters["merged"]["sha256"], settings_of(parameters["dataset_config"])]


@stage(
    name="build dataset",
    runs=("parc_core.motion.dataset.build",),
    inputs=_inputs,
    is_valid=_motions_are_there,
)
def build_dataset(merged: Result, dataset_config: dict[str, Any]) -> Result:
    """Writes `datasets/<key>/motions.yaml` and its manifest into the store.

    Args:
        merged: the result of `merge_motions`.
        dataset_config: the keys of the dataset creation config.

    Returns:
        `motions_yaml`, `manifest`, `merge` (references), `sha256` of the content, `motions` (count).
    """
    config = from_mapping(DatasetConfig, dataset_config, "dataset config")
    merge_result = merged_here(merged)
    inputs = _inputs({"merged": merged, "dataset_config": dataset_config})
    key = content_key("dataset", "", inputs).rpartition("-")[2][:16]
    built = build(merge_result, config, work_folder() / "datasets" / key)
    if Store().root is None:
        _make_relative(Path(built["motions_yaml"]))
    get_run_logger().info(
        "%d motions of %d classes, %.0f s in all",
        built["num_motions"],
        len(built["classes"]),
        built["length"],
    )
    return {
        "motions_yaml": file_ref(built["motions_yaml"]),
        "manifest": file_ref(built["manifest"]),
        "merge": merged["merge"],
        "sha256": built["sha256"],
        "motions": built["num_motions"],
    }


def _make_relative(motions_yaml: Path) -> None:
    """Motions by their place beside the file: it is read on other machines."""
    found = read_motions_yaml(motions_yaml)
    entries = [
        dataclasses.replace(entry, file=os.path.relpath(entry.file, motions_yaml.parent))
        for entry in found.entries
    ]
    write_motions_yaml(motions_yaml, MotionsFile(entries, found.terrain))


def dataset_here(dataset: Result) -> Path:
    """The dataset's file on this machine, its motions and manifest with it.

    Raises:
        DataError: a motion is gone from the store, or damaged.
    """
    path = local_path(dataset["motions_yaml"])
    if "merge" not in dataset or Store().root is not None:
        return path
    local_path(dataset["manifest"])
    bad = fetch(copies(merged_here(dataset)))
    if bad:
        raise DataError(f"{Store().uri(bad[0])}: gone or damaged; run again with refresh merge_motions")
    return path


def warn_of_overlap(dataset: Result, held_out: Result) -> None:
    """Names held-out clips that the training sees, too, in the log of the flow."""
    warning = overlap_warning(dataset_here(dataset), dataset_here(held_out))
    if warning:
        get_run_logger().warning(warning)


def given_dataset(dataset_file: PathLike) -> Result:
    """A dataset that is there already, as `build_dataset` would return it; it stays where it is."""
    path = Path(dataset_file).absolute()
    motions = read_motions_yaml(path)
    return {
        "motions_yaml": {"uri": path.as_uri(), "sha256": content_sha256(path)},
        "sha256": dataset_content(str(path)),
        "motions": len(motions.entries),
    }
