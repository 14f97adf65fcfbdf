"""Which motion files lie in which class (spec section 2, dataset creation)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, List, NoReturn, Optional, Sequence, Set, Tuple

from parc_core.config.paths import expand, resolve
from parc_core.errors import DataError
from parc_core.storage.store import local_root

MARKER = ".parc-merged"
"""Lies in every folder of copies; such a folder is never an input, even inside an input folder."""


@dataclass(frozen=True)
class InputFile:
    """A motion file found below a root."""

    path: str
    """Absolute, or an address (`s3://…`): what messages name."""
    motion_class: str
    """First folder below the root; empty for a file that lies in the root itself."""
    relative: str
    """Below the root, with forward slashes."""
    sha256: str = ""
    """Content of a remote file, as it is known from its last fetch; empty for local files."""
    size: int = 0
    """Bytes of a remote file."""
    error: str = ""
    """Why a remote file cannot be had."""

    @property
    def is_remote(self) -> bool:
        """Whether it lies in an object store; its bytes are then in the local cache (`remote_motions`)."""
        return "://" in self.path

    @property
    def root(self) -> str:
        """Address or folder of the root."""
        return self.path[: -len(self.relative) - 1]


SUFFIXES = (".pkl", ".npz")
"""Of motion files; an .npz is not read, but named among the files that are left out."""
Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""


def find_motions(
    folder_paths: Sequence[str], progress: Optional[Progress] = None
) -> Tuple[List[str], List[InputFile]]:
    """The classes (first-level folders of all roots) and every motion file below the roots, sorted.

    Folders whose name contains "ignore", hidden folders and folders of copies are skipped. Remote files that are not
    known yet are fetched, because what they hold decides what they count as.

    Args:
        folder_paths: the roots, as in the config: folders and addresses (`s3://bucket/iteration_3/recorded`).
        progress: of the fetch.

    Raises:
        DataError: a root is missing or none holds a class folder.
        ConfigError, StoreUnreachable: a remote root cannot be had.
    """
    classes: Set[str] = set()
    files: List[InputFile] = []
    for entry in folder_paths:
        text = expand(entry)
        folder = local_root(text) if "://" in text else resolve(entry).absolute()
        if folder is None:
            from parc_core.motion.remote_motions import find_remote

            found = find_remote(text, progress)
            classes.update(file.motion_class for file in found if file.motion_class)
            files += found
        else:
            _find_local(folder, classes, files)
    if not classes:
        roots = ", ".join(str(folder) for folder in folder_paths)
        raise DataError(f"folder_paths: {roots}: no class folder inside; give the folder above the classes")
    # Python's sort is stable: equal paths of two roots stay in the order of the roots.
    return sorted(classes), sorted(files, key=lambda f: (f.motion_class, f.relative))


def _find_local(root: Path, classes: Set[str], files: List[InputFile]) -> None:
    if not root.is_dir():
        raise DataError(f"folder_paths: {root}: no such folder; check the path (and DATA_DIR)")
    for folder, names in _walk(root):
        parts = folder.relative_to(root).parts
        classes.update(parts[:1])
        for name in names:
            relative = "/".join((*parts, name))
            files.append(InputFile(str(folder / name), parts[0] if parts else "", relative))


def is_skipped(folder: str) -> bool:
    """Whether a folder of this name is no input."""
    return "ignore" in folder or folder.startswith((".", "__pycache__"))


def _walk(root: Path) -> Iterator[Tuple[Path, List[str]]]:
    """Folders below `root` with the names of their motion files; links are followed, loops are not."""
    seen: Set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_raise_unreadable):
        real = os.path.realpath(folder)
        if real in seen or MARKER in names:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(
            name
            for name in folders
            if not is_skipped(name) and not os.path.exists(os.path.join(folder, name, MARKER))
        )
        yield Path(folder), sorted(name for name in names if name.endswith(SUFFIXES))


def _raise_unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: folder cannot be read ({error.strerror}); check its permissions")
