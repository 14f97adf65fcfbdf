"""Which motion files lie in which class (spec section 2, dataset creation)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, NoReturn, Sequence, Set, Tuple

from parc_core.config.paths import resolve
from parc_core.errors import DataError

MARKER = ".parc-merged"
"""Lies in every folder of copies; such a folder is never an input, even inside an input folder."""


@dataclass(frozen=True)
class InputFile:
    """A motion file found below a root."""

    path: str
    """Absolute."""
    motion_class: str
    """First folder below the root; empty for a file that lies in the root itself."""
    relative: str
    """Below the root, with forward slashes."""


def find_motions(folder_paths: Sequence[str]) -> Tuple[List[str], List[InputFile]]:
    """The classes (first-level folders of all roots) and every `.pkl` below the roots, sorted.

    Folders whose name contains "ignore", hidden folders and folders of copies are skipped.

    Args:
        folder_paths: the roots, as in the config.

    Raises:
        DataError: a root is missing or none holds a class folder.
    """
    classes: Set[str] = set()
    files: List[InputFile] = []
    for entry in folder_paths:
        root = resolve(entry).absolute()
        if not root.is_dir():
            raise DataError(f"folder_paths: {root}: no such folder; check the path (and DATA_DIR)")
        for folder, names in _walk(root):
            parts = folder.relative_to(root).parts
            classes.update(parts[:1])
            for name in names:
                relative = "/".join((*parts, name))
                files.append(InputFile(str(folder / name), parts[0] if parts else "", relative))
    if not classes:
        roots = ", ".join(str(folder) for folder in folder_paths)
        raise DataError(f"folder_paths: {roots}: no class folder inside; give the folder above the classes")
    # Python's sort is stable: equal paths of two roots stay in the order of the roots.
    return sorted(classes), sorted(files, key=lambda f: (f.motion_class, f.relative))


def _walk(root: Path) -> Iterator[Tuple[Path, List[str]]]:
    """Folders below `root` with the names of their `.pkl` files; links are followed, loops are not."""
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
            if "ignore" not in name
            and not name.startswith((".", "__pycache__"))
            and not os.path.exists(os.path.join(folder, name, MARKER))
        )
        yield Path(folder), sorted(name for name in names if name.endswith(".pkl"))


def _raise_unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: folder cannot be read ({error.strerror}); check its permissions")
