"""Motion-terrain files (spec section 2): reading and writing."""

from __future__ import annotations

from typing import Any, Dict, Optional, Union

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.foreign import foreign_file
from parc_core.motion.formats.normal_form import from_parts
from parc_core.motion.formats.numbers import LOOP_MODES, expect_shape, float32, number
from parc_core.system.files import PathLike, read_regular, write_bytes

CONTAINER_KEYS = ("motion_data", "terrain_data", "misc_data")
NPZ_MAGIC = b"PK\x03\x04"
LEGACY_KEYS = ("frames", "loop_mode")


def read_motion_terrain(source: Union[PathLike, bytes], where: Optional[str] = None) -> MotionTerrain:
    """Read a motion-terrain file through the restricted unpickler.

    Shapes are checked as far as they do not depend on the character; `validation.validate` checks the rest.
    misc_data stays unread (see `read_misc`).

    Args:
        source: path of the file, or its content.
        where: name for messages; the path by default.

    Raises:
        DataError: no such file, corrupt, not allowed, the flat legacy layout, or a key missing or misshapen.
    """
    if isinstance(source, bytes):
        data, where = source, where or "<bytes>"
    else:
        where = where or str(source)
        data = _read_bytes(source, where)
    parts = _container(data, where)
    motion = ground = None
    if parts["motion_data"] is not None:
        at = f"{where}: motion_data"
        motion = _motion(_part(parts["motion_data"], at), at)
    if parts["terrain_data"] is not None:
        at = f"{where}: terrain_data"
        ground = _terrain(_part(parts["terrain_data"], at), at)
    return from_parts(motion, ground, parts["misc_data"], f"{where}: motion_data")


def write_motion_terrain(path: PathLike, mt: MotionTerrain) -> None:
    """Write `mt` atomically as a file that PARC's own tools read (plain pickle, numpy 1.x and 2.x).

    Raises:
        ConfigError: the place cannot be written.
    """
    write_bytes(path, motion_terrain_bytes(mt))


def motion_terrain_bytes(mt: MotionTerrain) -> bytes:
    """The content of `mt`'s file; equal contents give equal bytes."""
    parts: Dict[str, Optional[bytes]] = {"motion_data": None, "terrain_data": None, "misc_data": mt.misc}
    if mt.motion is not None:
        clip = mt.motion
        contacts = None if clip.body_contacts is None else float32(clip.body_contacts)
        parts["motion_data"] = safe_pickle.dumps(
            {
                "root_pos": float32(clip.root_pos),
                "root_rot": float32(clip.root_rot),
                "joint_rot": float32(clip.joint_rot),
                "body_contacts": contacts,
                "fps": int(clip.fps),
                "loop_mode": str(clip.loop_mode),
            }
        )
    if mt.terrain is not None:
        hf = float32(mt.terrain.hf)
        maxmin = _height_bounds(hf) if mt.terrain.hf_maxmin is None else mt.terrain.hf_maxmin
        parts["terrain_data"] = safe_pickle.dumps(
            {
                "hf": hf,
                "hf_maxmin": float32(maxmin),
                "min_point": float32(mt.terrain.min_point),
                "dx": float(mt.terrain.dx),
            }
        )
    return safe_pickle.dumps(parts)


def read_misc(mt: MotionTerrain, allow_torch: bool = False, where: str = "misc_data") -> Dict[str, Any]:
    """Read misc_data ({} where there is none).

    Args:
        mt: the file's content.
        allow_torch: also read torch tensors, as numpy arrays.
        where: file name for messages.

    Raises:
        DataError: corrupt, or a global that is not allowed.
    """
    if mt.misc is None:
        return {}
    misc = safe_pickle.loads(mt.misc, where, allow_torch)
    if not isinstance(misc, dict):
        raise DataError(f"{where}: misc_data is a {type(misc).__name__}, not a dict")
    return misc


def _height_bounds(hf: np.ndarray) -> np.ndarray:
    """hf_maxmin (nx, ny, 2) for a terrain without: PARC's tools need one; published files hold this one."""
    bounds = np.empty((*hf.shape, 2), dtype=np.float32)
    bounds[..., 0] = hf.max() + 3.0
    bounds[..., 1] = hf.min() - 3.0
    return bounds


def _read_bytes(path: PathLike, where: str) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError:
        raise DataError(f"{where}: no such motion file; check the path (and DATA_DIR)") from None
    except OSError as error:
        raise DataError(f"{where}: cannot be read ({error.strerror or error})") from error


def _container(data: bytes, where: str) -> Dict[str, Any]:
    if data.startswith(NPZ_MAGIC):
        raise DataError(f"{where}: an .npz file; convert it: parc-tracker convert FILE --out FOLDER")
    try:
        outer = safe_pickle.loads(data, where)
    except DataError as error:
        # Older releases keep objects of their own classes in the flat layout: still say what the file is.
        if set(LEGACY_KEYS) <= set(safe_pickle.strings(data)):
            raise DataError(f"{_legacy(where)} ({str(error)[len(where) + 2 :]})") from None
        other = foreign_file(data)
        if other is not None:
            raise DataError(f"{where}: {other}") from None
        raise
    if not isinstance(outer, dict):
        raise DataError(f"{where}: not a motion-terrain file, it holds a {type(outer).__name__}, not a dict")
    if "frames" in outer:
        raise DataError(_legacy(where))
    missing = [key for key in CONTAINER_KEYS[:2] if key not in outer]
    if missing:
        keys = _keys(outer)
        raise DataError(f"{where}: not a motion-terrain file, {missing[0]} is missing (keys: {keys})")
    parts = {key: outer.get(key) for key in CONTAINER_KEYS}
    for key, value in parts.items():
        if value is not None and not isinstance(value, bytes):
            raise DataError(f"{where}: {key} is a {type(value).__name__}, not bytes or None")
    return parts


def _legacy(where: str) -> str:
    return (
        f"{where}: the flat legacy layout of an older PARC release (frames [n, 34], contacts, fps, "
        "loop_mode, terrain), which is not read; convert it: parc-tracker convert FILE --out FOLDER"
    )


def _part(data: bytes, where: str) -> Dict[str, Any]:
    part = safe_pickle.loads(data, where)
    if not isinstance(part, dict):
        raise DataError(f"{where} is a {type(part).__name__}, not a dict")
    return part


def _motion(part: Dict[str, Any], where: str) -> Dict[str, Any]:
    """The motion's values as they are in the file, each checked alone."""
    found: Dict[str, Any] = {"body_contacts": None}
    for key, ndim in (("root_pos", 2), ("root_rot", 2), ("joint_rot", 3)):
        found[key] = _array(part, key, where, ndim)
    if part.get("body_contacts") is not None:
        found["body_contacts"] = _array(part, "body_contacts", where, 2)
    found["fps"] = number(_get(part, "fps", where), f"{where}: fps")
    loop_mode = _get(part, "loop_mode", where)
    if isinstance(loop_mode, np.ndarray) and loop_mode.ndim == 0:
        loop_mode = loop_mode[()]
    if not isinstance(loop_mode, str) or loop_mode not in LOOP_MODES:
        raise DataError(f"{where}: loop_mode is {safe_pickle.describe(loop_mode)}, known are CLAMP and WRAP")
    found["loop_mode"] = str(loop_mode)
    return found


def _terrain(part: Dict[str, Any], where: str) -> Dict[str, Any]:
    """The terrain's values as they are in the file, checked."""
    hf = _array(part, "hf", where, 2)
    min_point = _array(part, "min_point", where, 1)
    expect_shape(min_point, (2,), f"{where}: min_point")
    maxmin = None
    if part.get("hf_maxmin") is not None:
        maxmin = _array(part, "hf_maxmin", where, 3)
        expect_shape(maxmin, (*hf.shape, 2), f"{where}: hf_maxmin")
    dx = number(_get(part, "dx", where), f"{where}: dx")
    return {"hf": hf, "min_point": min_point, "hf_maxmin": maxmin, "dx": dx}


def _keys(part: Dict[str, Any]) -> str:
    return safe_pickle.printable(", ".join(sorted(map(str, part))[:8])) or "none"


def _get(part: Dict[str, Any], key: str, where: str) -> Any:
    if key not in part:
        keys = _keys(part)
        raise DataError(f"{where}: {key} is missing (keys: {keys})")
    return part[key]


def _array(part: Dict[str, Any], key: str, where: str, ndim: int) -> np.ndarray:
    value = _get(part, key, where)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        raise DataError(f"{where}: {key} is not an array of numbers")
    if value.ndim != ndim:
        raise DataError(f"{where}: {key} has shape {list(value.shape)}, {ndim} dimension(s) are needed")
    return value
