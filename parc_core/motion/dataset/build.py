"""The weighted dataset from merged motions (spec section 2, dataset creation)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple

from parc_core.errors import DataError
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, manifest_path, write_motions_yaml
from parc_core.motion.dataset.merge import Progress, merge_folders, output_folder
from parc_core.motion.dataset.merge_result import MergedMotion, MergeResult
from parc_core.system.files import PathLike, dump_json, sha256_bytes, sha256_file, write_json

if TYPE_CHECKING:
    from parc_core.config.dataset_config import DatasetConfig


def build_dataset(
    merged: MergeResult, config: DatasetConfig, out_dir: PathLike, file_name: str = "motions.yaml"
) -> Dict[str, Any]:
    """Write `motions.yaml` and its manifest for merged motions.

    Args:
        merged: what `merge_folders` gave.
        config: the settings it was merged with (kept in the manifest).
        out_dir: where both files go.
        file_name: name of the dataset file.

    Returns:
        `motions_yaml` and `manifest` (absolute paths), `sha256` (of the dataset's content: names, motions
        and weights, wherever it lies), `motions_yaml_sha256` (of the file), `num_motions`, `num_rejected`,
        `num_duplicates`, `length` (s), `classes` (name -> number of motions).

    Raises:
        DataError: no motion at all, or a class without one.
        ConfigError: `out_dir` cannot be written.
    """
    _check_classes(merged)
    weights = motion_weights(merged.motions, config.class_exponent)
    motions_yaml = output_folder(out_dir) / file_name
    entries = [MotionEntry(str(merged.path_of(m)), w) for m, w in zip(merged.motions, weights)]
    content = [[m.name, m.sha256, w] for m, w in zip(merged.motions, weights)]
    sha256 = sha256_bytes(dump_json(content).encode("utf-8"))
    manifest = _manifest(merged, config, weights, sha256)
    write_json(manifest_path(motions_yaml), manifest)
    write_motions_yaml(motions_yaml, MotionsFile(entries))
    return {
        "motions_yaml": str(motions_yaml),
        "manifest": str(manifest_path(motions_yaml)),
        "sha256": sha256,
        "motions_yaml_sha256": sha256_file(motions_yaml),
        "num_motions": len(entries),
        "num_rejected": len(merged.rejected),
        "num_duplicates": len(merged.duplicates),
        "length": sum(m.length for m in merged.motions),
        "classes": {name: facts["motions"] for name, facts in manifest["classes"].items()},
    }


def create_dataset(
    config: DatasetConfig,
    progress: Optional[Progress] = None,
    workers: Optional[int] = None,
    index_path: Optional[PathLike] = None,
    note: Optional[Callable[[str], None]] = None,
) -> Dict[str, Any]:
    """Merge and build in one call, as PARC's script does: writes the dataset file at `save_path`.

    `save_path` ending in .yaml or .yml is the file; anything else is the folder of a `motions.yaml`. The
    copies of the motions go to `motions/` beside it.

    Args:
        config, progress, workers, index_path: as `merge_folders`.
        note: called with a line for each file that is left out, and for what reading others changes.

    Returns:
        As `build_dataset`.

    Raises:
        ConfigError, DataError: as `merge_folders` and `build_dataset`.
    """
    folder, name = save_place(config)
    merged = merge_folders(config, folder, progress, workers, index_path)
    if note is not None:
        for line in merged.remarks():
            note(line)
    return build_dataset(merged, config, folder, name)


def save_place(config: DatasetConfig) -> Tuple[Path, str]:
    """Folder and name of the dataset file that `save_path` means."""
    path = output_folder(config.save_path)
    return (path.parent, path.name) if path.suffix in (".yaml", ".yml") else (path, "motions.yaml")


def motion_weights(motions: List[MergedMotion], exponent: float = 0.0) -> List[float]:
    """The weights of all motions of a dataset, see `class_weights`."""
    return class_weights([m.motion_class for m in motions], [m.length for m in motions], exponent)


def class_weights(classes: Sequence[str], lengths: Sequence[float], exponent: float = 0.0) -> List[float]:
    """Weight = length · share of the class / (class length / total length).

    Args:
        classes, lengths: class and length (s) of every motion of the dataset.
        exponent: a class's share is ∝ its length to this power; 0 = 1 / number of classes, which are drawn alike.

    Returns:
        One weight per motion; those of a class sum to its share of the total length, in seconds.
    """
    class_length: Dict[str, float] = {}
    for name, length in zip(classes, lengths):
        class_length[name] = class_length.get(name, 0.0) + length
    total = sum(class_length.values())
    powers = {name: length**exponent for name, length in class_length.items()}
    share = {name: power / sum(powers.values()) for name, power in powers.items()}
    return [length * share[name] / (class_length[name] / total) for name, length in zip(classes, lengths)]


def _check_classes(merged: MergeResult) -> None:
    if not merged.motions:
        raise DataError(f"the dataset would be empty: {_why(merged, None)}")
    present = {motion.motion_class for motion in merged.motions}
    for name in merged.classes:
        if name not in present:
            raise DataError(
                f"class '{name}' has no motion to train on: {_why(merged, name)}; fix or remove it,"
                " or put 'ignore' into the folder's name"
            )


def _why(merged: MergeResult, name: Optional[str]) -> str:
    """What became of the files of a class (of all, for None)."""
    rejected = [r for r in merged.rejected if name in (None, r.motion_class)]
    duplicates = [d for d in merged.duplicates if name in (None, d.motion_class)]
    if rejected:
        return f"{len(rejected)} file(s) rejected, the first {rejected[0].path}: {rejected[0].reason}"
    if duplicates:
        return f"its files are copies of others, {duplicates[0].path} of {duplicates[0].same_as}"
    return "its folders hold no .pkl file"


def _manifest(
    merged: MergeResult, config: DatasetConfig, weights: List[float], sha256: str
) -> Dict[str, Any]:
    classes: Dict[str, Dict[str, Any]] = {c: {"motions": 0, "length": 0.0} for c in merged.classes}
    motions = []
    for motion, weight in zip(merged.motions, weights):
        facts = classes[motion.motion_class]
        facts["motions"] += 1
        facts["length"] += motion.length
        motions.append({**asdict(motion), "length": motion.length, "weight": weight})
    return {
        "format": 1,
        "sha256": sha256,
        "inputs": merged.fingerprint,
        "settings": {
            "folder_paths": [str(folder) for folder in config.folder_paths],
            "compute_preprocessing_data": config.compute_preprocessing_data,
            "override_old_hf_mask_inds": config.override_old_hf_mask_inds,
            "min_num_frames": config.min_num_frames,
            "max_terrain_dim_x": config.max_terrain_dim_x,
            "max_terrain_dim_y": config.max_terrain_dim_y,
            "cut_some_classes_in_half": config.cut_some_classes_in_half,
            "allow_implausible": config.allow_implausible,
            "class_exponent": config.class_exponent,
            "motion_classes_to_cut_in_half": list(config.motion_classes_to_cut_in_half or ()),
        },
        "classes": classes,
        "names": {m.sha256: m.name for m in merged.motions},
        "motions": motions,
        "rejected": [asdict(item) for item in merged.rejected],
        "duplicates": [asdict(item) for item in merged.duplicates],
    }
