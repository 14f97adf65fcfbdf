"""Dataset creation config: from motion folders to a weighted `motions.yaml` (spec section 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Optional

from parc_core.config.paths import PathLike, load_yaml
from parc_core.config.schema import from_mapping, setting
from parc_core.errors import ConfigError


@dataclass(frozen=True)
class DatasetConfig:
    """Which motion files make up a dataset."""

    folder_paths: List[str]
    """Folders whose first-level folders are the motion classes; every .pkl below a class belongs to it. Addresses of
    object storage, too, and `recordings:NAME` for what the latest model of that name has recorded."""
    save_path: str = "output/datasets/motions.yaml"
    """The dataset file to write."""
    char_filepath: str = "data/assets/humanoid.xml"
    """MJCF of the character that the motions move."""
    compute_preprocessing_data: bool = False
    """Add what the motion generator (PARC's stage 1) needs (`hf_mask_inds`, `hf_maxmin`) to the copies."""
    override_old_hf_mask_inds: bool = False
    """With compute_preprocessing_data: compute both again where a file has masks."""
    cut_some_classes_in_half: bool = False
    """Keep every second file (sorted by name) of motion_classes_to_cut_in_half."""
    motion_classes_to_cut_in_half: List[str] = setting([])
    """Classes to keep half of."""
    max_terrain_dim_x: Optional[int] = setting(None, at_least=1)
    """Motions whose terrain has more cells along x are skipped; null = no limit."""
    max_terrain_dim_y: Optional[int] = setting(None, at_least=1)
    """The same along y."""
    min_num_frames: int = setting(2, at_least=0)
    """Motions with fewer frames are skipped (two is the least that has a velocity)."""
    allow_implausible: bool = setting(False, ours=True)
    """Keep motions that cannot be right (quaternions in another order, centimetres, y up, off their terrain)."""
    class_exponent: float = setting(0.0, at_least=0, at_most=1, ours=True)
    """Classes are drawn in proportion to their seconds of motion to this power: 0 = all alike, a rare class as often as
    a large one (PARC); 1 = every second alike, a rare class as rarely as it is; 0.5 = by the square root."""

    def __post_init__(self) -> None:
        if not self.folder_paths:
            raise ConfigError("'folder_paths' is empty; name at least one folder of motion classes")


def held_out_config(folders: List[str], of: Optional[DatasetConfig], char_file: str) -> DatasetConfig:
    """How held-out motion folders are merged: by the limits of the training's motions, and all of them.

    Args:
        folders: as folder_paths.
        of: the dataset creation config of the training; None = its dataset was there already, the defaults count.
        char_file: of the environment, for that case.
    """
    if of is None:
        return DatasetConfig(list(folders), char_filepath=char_file)
    return replace(
        of,
        folder_paths=list(folders),
        compute_preprocessing_data=False,
        cut_some_classes_in_half=False,
        motion_classes_to_cut_in_half=[],
    )


def load_dataset_config(path: PathLike) -> DatasetConfig:
    """Read a dataset creation file.

    Raises:
        ConfigError: see `paths.load_yaml` and `schema.from_mapping`.
    """
    return from_mapping(DatasetConfig, load_yaml(path), str(path))
