"""Flat motion files: PARC's older layout and MimicKit's (`frames`, `fps`, `loop_mode`, …); safe `.npz` files."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any, Dict, Optional

import numpy as np
import torch

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.container import (
    LEGACY_KEYS,
    LOOP_MODES,
    NPZ_MAGIC,
    motion_terrain_bytes,
    read_motion_terrain,
    validate,
)
from parc_core.motion.formats.pickle_values import Record
from parc_core.terrain.heightfield import Heightfield

_POSE_KEYS = ("root_pos", "root_rot", "joint_rot")
_ROOT = 6  # root position and exponential map, before the dofs


def read_any(data: bytes, where: str, kinematics: Kinematics, num_dofs: int) -> MotionTerrain:
    """Read a container, a flat file of the given character, or an `.npz` of `npz_bytes`; nothing of it is run.

    Args:
        data: the file's content.
        where: its name for messages.
        kinematics: of the character.
        num_dofs: D of the character.

    Raises:
        DataError: corrupt, not a motion file, or of another skeleton.
    """
    if data.startswith(NPZ_MAGIC):
        found = _from_npz(data, where)
        validate(found, where, require_terrain=False, num_bodies=_num_joints(kinematics))
        return found
    if set(LEGACY_KEYS) <= set(safe_pickle.strings(data)):
        flat = safe_pickle.loads(data, where, allow_torch=True, others=lambda _module, _name: Record)
        if isinstance(flat, dict) and "frames" in flat:
            found = _from_flat(flat, where, kinematics, num_dofs)
            validate(found, where, require_terrain=False, num_bodies=_num_joints(kinematics))
            return found
    return read_motion_terrain(data, where)


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


def converted_bytes(mt: MotionTerrain, to: str, where: str) -> bytes:
    """The content of the converted file: `to` is "container" or "npz"."""
    return npz_bytes(mt, where) if to == "npz" else motion_terrain_bytes(mt)


def _num_joints(kinematics: Kinematics) -> int:
    return len(kinematics.character.body_names)


def _from_npz(data: bytes, where: str) -> MotionTerrain:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            found = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{where}: corrupt .npz, or not of plain arrays ({error})") from None
    missing = [key for key in (*_POSE_KEYS, "fps", "loop_mode") if key not in found]
    if missing:
        raise DataError(
            f"{where}: {missing[0]} is missing, so this is not a motion that parc-tracker convert wrote"
        )
    pos, rot, joints = (_numbers(found[key], f"{where}: {key}") for key in _POSE_KEYS)
    contacts = found.get("body_contacts")
    clip = MotionClip(
        pos,
        rot,
        joints,
        None if contacts is None else _numbers(contacts, f"{where}: body_contacts"),
        _fps(_one(found["fps"]), where),
        _loop_mode(_one(found["loop_mode"]), where),
    )
    return MotionTerrain(clip, _terrain(found, f"{where}: terrain") if "hf" in found else None)


def _one(value: np.ndarray) -> Any:
    """The value of a 0-d array; others are left to be refused."""
    return value.item() if value.ndim == 0 else value.tolist()


def _check_names(flat: Dict[str, Any], where: str, kinematics: Kinematics) -> None:
    """Files need not name their bodies or joints; those that do must name this character's."""
    for key in ("body_names", "joint_names"):
        ours = getattr(kinematics.character, key)
        theirs = flat.get(key)
        if theirs is None or list(map(str, theirs)) == list(ours):
            continue
        other = next((str(name) for name in theirs if str(name) not in ours), None)
        what = "in another order" if other is None else f"such as {safe_pickle.printable(repr(other))}"
        raise DataError(
            f"{where}: {key} are not those of this character, {what}; a motion of another skeleton must be "
            "retargeted first"
        )


def _fps(value: Any, where: str) -> int:
    known = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not known or not np.isfinite(value) or value <= 0 or value != int(value):
        raise DataError(f"{where}: fps is {value!r}, a whole number above 0 is needed")
    return int(value)


def _from_flat(flat: Dict[str, Any], where: str, kinematics: Kinematics, num_dofs: int) -> MotionTerrain:
    _check_names(flat, where, kinematics)
    frames = _numbers(flat["frames"], f"{where}: frames")
    if frames.ndim != 2 or frames.shape[1] != _ROOT + num_dofs:
        raise DataError(
            f"{where}: frames has shape {list(frames.shape)}, [n, {_ROOT + num_dofs}] is needed for this character;"
            " a motion of another skeleton must be retargeted first"
        )
    if not np.isfinite(frames).all():
        raise DataError(f"{where}: frames holds non-finite numbers")
    values = torch.from_numpy(frames)
    fps = _fps(flat.get("fps"), where)
    contacts = flat.get("contacts")
    clip = MotionClip(
        frames[:, :3].copy(),
        rotations.exp_map_to_quat(values[:, 3:_ROOT]).numpy(),
        kinematics.dof_to_rot(values[:, _ROOT:]).numpy(),
        None if contacts is None else _numbers(contacts, f"{where}: contacts"),
        fps,
        _loop_mode(flat.get("loop_mode"), where),
    )
    return MotionTerrain(clip, _terrain(flat.get("terrain"), f"{where}: terrain"))


def _loop_mode(value: Any, where: str) -> str:
    """By name, by number (0 CLAMP, 1 WRAP), or what is left of an enumeration's member."""
    if isinstance(value, Record):
        value = value.fields.get("arguments", (None,))[0]
    if isinstance(value, (int, np.integer)) and 0 <= value < len(LOOP_MODES):
        return LOOP_MODES[int(value)]
    if isinstance(value, str) and value in LOOP_MODES:
        return value
    raise DataError(f"{where}: loop_mode is {safe_pickle.printable(repr(value))}, known are CLAMP and WRAP")


def _terrain(value: Any, where: str) -> Optional[Heightfield]:
    if value is None:
        return None
    fields = value.fields if isinstance(value, Record) else value
    if not isinstance(fields, dict):
        raise DataError(f"{where} is a {type(fields).__name__}, not a terrain")
    spacing = fields.get("dx", fields.get("dxdy"))
    if "hf" not in fields or "min_point" not in fields or spacing is None:
        raise DataError(f"{where} lacks hf, min_point or dx, so it cannot be converted")
    hf, corner = (_numbers(fields[key], f"{where}: {key}") for key in ("hf", "min_point"))
    cell = np.unique(_numbers(np.asarray(spacing), f"{where}: dx"))
    if hf.ndim != 2 or corner.shape != (2,) or len(cell) != 1:
        raise DataError(f"{where}: hf [nx, ny], min_point [2] and one dx for both axes are needed")
    maxmin = fields.get("hf_maxmin")
    if maxmin is not None:
        maxmin = _numbers(maxmin, f"{where}: hf_maxmin")
        if maxmin.shape != (*hf.shape, 2):
            raise DataError(f"{where}: hf_maxmin has shape {list(maxmin.shape)}, {[*hf.shape, 2]} is needed")
    return Heightfield(hf, corner, round(float(cell[0]), 6), maxmin)


def _numbers(value: Any, where: str) -> np.ndarray:
    try:
        found = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise DataError(f"{where} is not an array of numbers ({error})") from None
    if found.dtype.kind not in "fiub":
        raise DataError(f"{where} is not an array of numbers")
    return np.ascontiguousarray(found, dtype=np.float32)
