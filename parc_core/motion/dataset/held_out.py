"""The clips that a training never sees: their dataset, and whether the training sees some of them all the same."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Callable, Iterator, List, Optional

from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.paths import existing_file
from parc_core.config.tracker_config import is_dataset_file
from parc_core.errors import DataError
from parc_core.motion.dataset.build import build_dataset
from parc_core.motion.dataset.clip_list import shared_identities
from parc_core.motion.dataset.inputs import Progress
from parc_core.motion.dataset.merge import merge_folders
from parc_core.system.files import PathLike

KEY = "held_out_motions"
FOLDER = "held_out"
"""Subfolder of a training for the dataset of held-out motion folders."""
_MOST_NAMES = 10


@contextlib.contextmanager
def about_held_out() -> Iterator[None]:
    """Errors about data say that they are about the held-out motions."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{KEY}: {error}") from error


def held_out_file(motions: List[str], where: str) -> Optional[Path]:
    """The dataset file that held-out motions name; None where they are folders.

    Raises:
        ConfigError: there is no such file.
    """
    if len(motions) == 1 and is_dataset_file(motions[0]):
        return existing_file(motions[0], KEY, where)
    return None


def make_held_out(
    config: DatasetConfig,
    out_dir: PathLike,
    progress: Optional[Progress] = None,
    note: Callable[[str], None] = lambda line: None,
) -> Path:
    """Merges held-out motion folders into `<out_dir>/motions.yaml`.

    Raises:
        ConfigError, DataError: as `create_dataset`.
    """
    with about_held_out():
        merged = merge_folders(config, out_dir, progress)
        for line in merged.remarks():
            note(f"{KEY}: {line}")
        return Path(build_dataset(merged, config, out_dir)["motions_yaml"])


def overlap_warning(training: PathLike, held_out: PathLike) -> str:
    """One line that names held-out clips which the training sees too; "" where there are none.

    Args:
        training, held_out: dataset files.
    """
    shared = shared_identities(training, held_out)
    if not shared:
        return ""
    names = ", ".join(shared[:_MOST_NAMES]) + (", …" if len(shared) > _MOST_NAMES else "")
    return (
        f"{KEY}: the training sees {len(shared)} of them too, as they are or as a variant or mirror image: {names}; "
        "their numbers say nothing about unseen clips"
    )
