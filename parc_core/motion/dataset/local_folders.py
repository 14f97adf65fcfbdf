"""Which motion files lie in which class (spec section 2, dataset creation)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, List, NoReturn, Set, Tuple

from parc_core.errors import DataError
from parc_core.motion.dataset.inputs import MARKER, SUFFIXES, InputFile, is_skipped
from parc_core.system.files import printable_name


def find_local(root: Path, classes: Set[str], files: List[InputFile]) -> None:
    """Adds the classes and motion files below a folder.

    Raises:
        DataError: no such folder, or one inside cannot be read.
    """
    if not root.is_dir():
        raise DataError(f"folder_paths: {root}: no such folder; check the path (and DATA_DIR)")
    for folder, names in _walk(root):
        parts = folder.relative_to(root).parts
        motion_class = printable_name(parts[0]) if parts else ""
        classes.update([motion_class] if parts else [])
        for name in names:
            relative = "/".join((*parts, name))
            files.append(InputFile(str(folder / name), motion_class, relative))


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
    raise DataError(
        f"{printable_name(str(error.filename))}: folder cannot be read ({error.strerror}); check its permissions"
    )
