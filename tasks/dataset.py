"""Stage 2: merged motions into the weighted `motions.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import get_run_logger

from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.schema import from_mapping
from parc_core.learning.fingerprint import dataset_content
from parc_core.motion.build import build_dataset as build
from parc_core.motion.dataset_file import read_motions_yaml
from parc_core.motion.merge_result import read_merge_result
from parc_core.run_folder import store_folder
from tasks.caching import Result, content_key, file_ref, local_path, stage


def _motions_are_there(result: Result) -> bool:
    entries = read_motions_yaml(local_path(result["motions_yaml"])).entries
    return all(Path(entry.file).is_file() for entry in entries)


@stage(
    name="build dataset",
    code=tuple(f"parc_core/motion/{name}.py" for name in ("build", "dataset_file", "merge_result")),
    still_good=_motions_are_there,
)
def build_dataset(merged: Result, dataset_config: dict[str, Any]) -> Result:
    """Writes `datasets/<key>/motions.yaml` and its manifest into the store.

    Args:
        merged: the result of `merge_motions`.
        dataset_config: the keys of the dataset creation config.

    Returns:
        `motions_yaml`, `manifest` (references), `sha256` of the content, `motions` (count).
    """
    config = from_mapping(DatasetConfig, dataset_config, "dataset config")
    merge_result = read_merge_result(local_path(merged["merge"]))
    key = content_key("dataset", (), [merged, dataset_config]).rpartition("-")[2][:16]
    built = build(merge_result, config, store_folder() / "datasets" / key)
    get_run_logger().info(
        "%d motions of %d classes, %.0f s in all",
        built["num_motions"],
        len(built["classes"]),
        built["length"],
    )
    return {
        "motions_yaml": file_ref(built["motions_yaml"]),
        "manifest": file_ref(built["manifest"]),
        "sha256": built["sha256"],
        "motions": built["num_motions"],
    }


def given_dataset(dataset_file: str) -> Result:
    """A dataset that is there already, as `build_dataset` would return it."""
    motions = read_motions_yaml(dataset_file)
    return {
        "motions_yaml": file_ref(Path(dataset_file).absolute()),
        "sha256": dataset_content(dataset_file),
        "motions": len(motions.entries),
    }
