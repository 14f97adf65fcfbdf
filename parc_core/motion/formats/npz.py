"""Motions as plain arrays in an `.npz`, which numpy opens without pickle.

numpy's own reader believes what a file declares: a few kilobytes unpack to gigabytes, a header asks for any shape.
This one opens archives of plain `.npy` members alone, as large as their budget allows (see `pickle_limits`).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any, Dict, FrozenSet, List, Optional

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.normal_form import from_parts
from parc_core.motion.formats.npy import BROKEN, plain_array
from parc_core.motion.formats.numbers import array, loop_mode_of, number, terrain_of
from parc_core.motion.formats.pickle_limits import Budget
from parc_core.motion.formats.safe_pickle import printable

_POSE_KEYS = ("root_pos", "root_rot", "joint_rot")
_MAX_MEMBERS = 256
_ENCRYPTED = 1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that numpy writes
_BROKEN = (zipfile.BadZipFile, zlib.error, *BROKEN)


def npz_bytes(mt: MotionTerrain, where: str) -> bytes:
    """The motion and terrain as plain arrays, without any pickled object.

    Raises:
        DataError: there is no motion.
    """
    if mt.motion is None:
        raise DataError(f"{where}: holds no motion (motion_data is None), so there is nothing to convert")
    clip = mt.motion
    arrays: Dict[str, Any] = {
        "root_pos": clip.root_pos,
        "root_rot": clip.root_rot,
        "joint_rot": clip.joint_rot,
        "fps": np.int64(clip.fps),
        "loop_mode": np.array(clip.loop_mode),
    }
    if clip.body_contacts is not None:
        arrays["body_contacts"] = clip.body_contacts
    if mt.terrain is not None:
        arrays.update(hf=mt.terrain.hf, min_point=mt.terrain.min_point, dx=np.float64(mt.terrain.dx))
        if mt.terrain.hf_maxmin is not None:
            arrays["hf_maxmin"] = mt.terrain.hf_maxmin
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_npz(data: bytes, where: str) -> MotionTerrain:
    """The content of an `.npz` of `npz_bytes`.

    Raises:
        DataError: corrupt, too large, or something else.
    """
    found = _arrays(data, where)
    missing = [key for key in (*_POSE_KEYS, "fps", "loop_mode") if key not in found]
    if missing:
        raise DataError(
            f"{where}: {missing[0]} is missing, so this is not a motion that parc-tracker convert wrote"
        )
    motion: Dict[str, Any] = {key: array(found[key], f"{where}: {key}") for key in _POSE_KEYS}
    contacts = found.get("body_contacts")
    motion["body_contacts"] = None if contacts is None else array(contacts, f"{where}: body_contacts")
    motion["fps"] = number(found["fps"], f"{where}: fps")
    motion["loop_mode"] = loop_mode_of(found["loop_mode"], where)
    ground = terrain_of(found, f"{where}: terrain") if "hf" in found else None
    return from_parts(motion, ground, None, where)


def _arrays(data: bytes, where: str) -> Dict[str, np.ndarray]:
    array_names(data, where)  # says what an archive of torch is
    return read_arrays(data, where)


def array_names(data: bytes, where: str) -> FrozenSet[str]:
    """Names of the arrays of an archive, none of them read.

    Raises:
        DataError: no archive, or one of torch.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [member.filename for member in archive.infolist()]
    except _BROKEN as error:
        raise _corrupt(error, where) from None
    if any(name.endswith("data.pkl") for name in names):
        raise DataError(f"{where}: a file of torch (a model, or tensors), not a motion")
    return frozenset(name[:-4] for name in names if name.endswith(".npy"))


def read_arrays(data: bytes, where: str, wanted: Optional[FrozenSet[str]] = None) -> Dict[str, np.ndarray]:
    """The plain arrays of an archive.

    Args:
        data: the file's content.
        where: its name for messages.
        wanted: only those of these names; all by default, and then nothing else may be in it.

    Raises:
        DataError: corrupt, too large, or not of plain arrays.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if wanted is not None:
                members = [member for member in members if member.filename[:-4] in wanted]
            _check_members(members, len(data))
            return {member.filename[:-4]: plain_array(archive.read(member)) for member in members}
    except _BROKEN as error:
        raise _corrupt(error, where) from None


def _corrupt(error: BaseException, where: str) -> DataError:
    words = printable(str(error)) or type(error).__name__
    return DataError(f"{where}: corrupt .npz, or not of plain arrays ({words}); replace the file")


def _check_members(members: List[zipfile.ZipInfo], size: int) -> None:
    """Raises before anything is unpacked."""
    budget = Budget(size)
    if len(members) > _MAX_MEMBERS:
        raise ValueError(f"{len(members)} members")
    for member in members:
        if not member.filename.endswith(".npy"):
            raise ValueError(f"{member.filename[:60]!r} is not an array")
        if member.flag_bits & _ENCRYPTED:
            raise ValueError("encrypted")
        if member.compress_type not in _METHODS:
            raise ValueError(f"an unknown compression, {member.compress_type}")
        budget.take(member.file_size)
