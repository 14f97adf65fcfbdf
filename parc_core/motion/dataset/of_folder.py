"""A dataset file of a folder of motions, which stay where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List

from parc_core.errors import DataError
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, manifest_path, write_motions_yaml
from parc_core.motion.dataset.file_index import inspect
from parc_core.motion.dataset.inputs import InputFile
from parc_core.motion.dataset.local_folders import find_local
from parc_core.system.files import write_json


def dataset_of_folder(folder: Path, out: Path, num_bodies: int, note: Callable[[str], None]) -> Path:
    """The dataset file of a folder: its own `motions.yaml`, else one of the motion files below it.

    Folders with `ignore` in their names do not count, as for training.

    Args:
        folder: with motions.
        out: where the dataset file goes.
        num_bodies: of the character.
        note: called with one line for each file that cannot be used.

    Raises:
        DataError: not one motion can be used.
    """
    own = folder / "motions.yaml"
    if own.is_file():
        return own
    files: List[InputFile] = []
    find_local(folder, set(), files)
    good = []
    for file in sorted(files, key=lambda file: file.relative):
        error = _unwritable(file.path) or inspect(file.path, num_bodies).error
        if error:
            note(f"skipped: {file.path.encode('utf-8', 'backslashreplace').decode()}: {error}")
        else:
            good.append(file)
    if not good:
        raise DataError(f"{folder}: holds no motion that can be used; see parc-tracker convert")
    path = out / "motions.yaml"
    write_motions_yaml(path, MotionsFile([MotionEntry(file.path, 1.0) for file in good]))
    named = [{"file": file.path, "name": file.relative.rpartition(".")[0]} for file in good]
    write_json(manifest_path(path), {"motions": named})
    return path


def _unwritable(path: str) -> str:
    """Why a dataset file cannot name a file, or ""."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    return ""
