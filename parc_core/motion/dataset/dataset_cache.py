"""All files of a large dataset in one, so that the next start reads a single file.

`<folder of motions.yaml>/.cache/<its name>.npz`: one per dataset file, replaced when the motions' contents change,
about as large as the motions themselves, to be deleted at any time. The key inside is made of the SHA-256 of every
motion file, not of its time stamps: a file that was replaced, restored or copied counts by what is in it.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.dataset_arrays import DatasetArrays
from parc_core.system.files import PathLike, atomic_write, content_sha256

FORMAT = 2
"""Raise when the arrays or the checks before them change: older files are then made anew."""
CACHE_MIN_MOTIONS = 500
"""Smaller datasets have no cache: their files are read within a fraction of a second."""

_FILES_PER_TASK = 64

# What numpy and zipfile raise on a file that is cut short, altered or something else; members carry a CRC-32.
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    SyntaxError,
    MemoryError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def cache_path(motions_yaml: PathLike) -> Path:
    """Where the cache of a dataset file lies."""
    path = Path(motions_yaml)
    return path.parent / ".cache" / f"{path.stem}.npz"


def content_digests(files: Sequence[PathLike]) -> List[str]:
    """SHA-256 of each file. Those that a process asked for before are hashed again only when their stamp changed.

    Raises:
        DataError: a file cannot be read.
    """
    names = [str(file) for file in files]
    parts = [names[i : i + _FILES_PER_TASK] for i in range(0, len(names), _FILES_PER_TASK)]
    with ThreadPoolExecutor() as pool:  # reading and hashing release the interpreter
        return [digest for part in pool.map(_digests, parts) for digest in part]


def _digests(files: List[str]) -> List[str]:
    return [_digest(file) for file in files]


def _digest(file: str) -> str:
    try:
        return content_sha256(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error}); correct the path") from error


def dataset_key(files: Sequence[str], shared_terrain: Optional[str], num_bodies: int) -> str:
    """64 hex digits: what the arrays of these files are made from.

    Raises:
        DataError: a file cannot be read.
    """
    digests = content_digests([*files, *([] if shared_terrain is None else [shared_terrain])])
    parts = [f"format {FORMAT}", f"bodies {num_bodies}", f"shared {shared_terrain is not None}", *digests]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_cached(motions_yaml: PathLike, key: str) -> Optional[DatasetArrays]:
    """The arrays of that key, or None where there are none; a damaged file is said once and passed over."""
    path = cache_path(motions_yaml)
    if not path.is_file():
        return None
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            if str(archive["key"]) != key:
                return None  # of other contents: the files are read, and their arrays take its place
            return DatasetArrays.from_dict({name: archive[name] for name in archive.files})
    except _BROKEN as error:
        warnings.warn(
            f"{path}: is damaged ({str(error) or type(error).__name__}); the motion files are read again",
            stacklevel=2,
        )
        return None


def save_cached(motions_yaml: PathLike, key: str, arrays: DatasetArrays) -> None:
    """Writes the arrays in place of what is there. A place that cannot be written is said and costs time alone."""
    try:
        with atomic_write(cache_path(motions_yaml)) as file:
            members: Dict[str, Any] = {"key": np.array(key), **arrays.to_dict()}
            np.savez(file, **members)
    except ConfigError as error:
        warnings.warn(f"motion files will be read one by one next time: {error}", stacklevel=2)
