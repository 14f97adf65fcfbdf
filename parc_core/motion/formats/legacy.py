"""Flat motion files: PARC's older layout and MimicKit's (`frames`, `fps`, `loop_mode`, …); safe `.npz` files."""

from __future__ import annotations

from typing import Any, Dict, Optional

import torch

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.errors import DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.container import (
    LEGACY_KEYS,
    NPZ_MAGIC,
    motion_terrain_bytes,
    read_motion_terrain,
)
from parc_core.motion.formats.normal_form import from_parts
from parc_core.motion.formats.npz import npz_bytes, read_npz
from parc_core.motion.formats.numbers import array, float32, loop_mode_of, terrain_of
from parc_core.motion.formats.pickle_values import Record, plain
from parc_core.motion.validation import validate

_FLAT_KEYS = frozenset(("frames", "contacts", "fps", "loop_mode", "terrain"))
_MAX_NAMES = 1000
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
        found = read_npz(data, where)
        validate(found, where, require_terrain=False, num_bodies=_num_joints(kinematics))
        return found
    if set(LEGACY_KEYS) <= set(safe_pickle.strings(data)):
        flat = safe_pickle.loads(data, where, allow_torch=True, allow_classes=True)
        if isinstance(flat, dict) and "frames" in flat:
            found = _from_flat(flat, where, kinematics, num_dofs)
            validate(found, where, require_terrain=False, num_bodies=_num_joints(kinematics))
            return found
    return read_motion_terrain(data, where)


def converted_bytes(mt: MotionTerrain, to: str, where: str) -> bytes:
    """The content of the converted file: `to` is "container" or "npz"."""
    return npz_bytes(mt, where) if to == "npz" else motion_terrain_bytes(mt)


def _num_joints(kinematics: Kinematics) -> int:
    return len(kinematics.character.body_names)


def _check_names(flat: Dict[str, Any], where: str, kinematics: Kinematics) -> None:
    """Files need not name their bodies or joints; those that do must name this character's."""
    for key in ("body_names", "joint_names"):
        ours = getattr(kinematics.character, key)
        theirs = flat.get(key)
        if theirs is None:
            continue
        if not isinstance(theirs, (list, tuple)) or len(theirs) > _MAX_NAMES:
            raise DataError(f"{where}: {key} is {safe_pickle.describe(theirs)}, a list of names is needed")
        if list(theirs) == list(ours):
            continue
        other = next((name for name in theirs if not isinstance(name, str) or name not in ours), None)
        what = "in another order" if other is None else f"such as {safe_pickle.describe(other)}"
        raise DataError(
            f"{where}: {key} are not those of this character, {what}; a motion of another skeleton must be "
            "retargeted first"
        )


def _from_flat(flat: Dict[str, Any], where: str, kinematics: Kinematics, num_dofs: int) -> MotionTerrain:
    _check_names(flat, where, kinematics)
    frames = array(flat["frames"], f"{where}: frames")
    if frames.ndim != 2 or frames.shape[1] != _ROOT + num_dofs:
        raise DataError(
            f"{where}: frames has shape {list(frames.shape)}, [n, {_ROOT + num_dofs}] is needed for this character;"
            " a motion of another skeleton must be retargeted first"
        )
    values = torch.from_numpy(float32(frames))
    if not torch.isfinite(values).all():
        raise DataError(f"{where}: frames holds non-finite numbers")
    contacts = flat.get("contacts")
    motion = {
        "root_pos": frames[:, :3],
        "root_rot": rotations.exp_map_to_quat(values[:, 3:_ROOT]).numpy(),
        "joint_rot": kinematics.dof_to_rot(values[:, _ROOT:]).numpy(),
        "body_contacts": None if contacts is None else array(contacts, f"{where}: contacts"),
        "fps": flat.get("fps"),
        "loop_mode": _loop_mode(flat.get("loop_mode"), where),
    }
    others = {key: value for key, value in flat.items() if key not in _FLAT_KEYS}
    misc = safe_pickle.dumps(plain(others)) if others else None
    return from_parts(motion, _terrain(flat.get("terrain"), f"{where}: terrain"), misc, where)


def _loop_mode(value: Any, where: str) -> str:
    """By name, by number, or what is left of an enumeration's member."""
    if isinstance(value, Record):
        arguments = value.fields.get("arguments")
        value = arguments[0] if isinstance(arguments, tuple) and len(arguments) == 1 else value
    return loop_mode_of(value, where)


def _terrain(value: Any, where: str) -> Optional[Dict[str, Any]]:
    if value is None:
        return None
    fields = value.fields if isinstance(value, Record) else value
    if not isinstance(fields, dict):
        raise DataError(f"{where} is {safe_pickle.describe(fields)}, not a terrain")
    return terrain_of(fields, where)
