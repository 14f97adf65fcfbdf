"""Motion folders on this machine and in object stores, found by one call."""

from __future__ import annotations

import logging
from typing import List, Optional, Sequence, Set, Tuple

from parc_core.config.paths import expand, resolve
from parc_core.errors import DataError
from parc_core.motion.dataset.inputs import InputFile, Progress
from parc_core.motion.dataset.local_folders import find_local
from parc_core.motion.dataset.remote_folders import find_remote
from parc_core.registry.recordings import is_recordings, recordings_folder
from parc_core.storage.addresses import local_root

_LOG = logging.getLogger(__name__)


def find_motions(
    folder_paths: Sequence[str], progress: Optional[Progress] = None
) -> Tuple[List[str], List[InputFile]]:
    """The classes (first-level folders of all roots) and every motion file below the roots, sorted.

    Folders whose name contains "ignore", hidden folders and folders of copies are skipped. Remote files that are not
    known yet are fetched, because what they hold decides what they count as.

    Args:
        folder_paths: the roots, as in the config: folders, addresses (`s3://bucket/iteration_3/recorded`), and what a
            registered model has recorded (`recordings:NAME`, `recordings:NAME@3`).
        progress: of the fetch.

    Raises:
        DataError: a root is missing or none holds a class folder.
        ConfigError, StoreUnreachable: a remote root cannot be had.
    """
    classes: Set[str] = set()
    files: List[InputFile] = []
    for entry in folder_paths:
        text = expand(entry)
        if is_recordings(text):
            recorded = recordings_folder(text)
            if recorded is None:
                _LOG.warning("%s: nothing is recorded yet; going without", text)
                continue
            text = recorded
        folder = local_root(text) if "://" in text else resolve(text).absolute()
        if folder is None:
            found = find_remote(text, progress)
            classes.update(file.motion_class for file in found if file.motion_class)
            files += found
        else:
            find_local(folder, classes, files)
    if not classes:
        roots = ", ".join(str(folder) for folder in folder_paths)
        raise DataError(f"folder_paths: {roots}: no class folder inside; give the folder above the classes")
    # Python's sort is stable: equal paths of two roots stay in the order of the roots.
    return sorted(classes), sorted(files, key=lambda f: (f.motion_class, f.relative))
