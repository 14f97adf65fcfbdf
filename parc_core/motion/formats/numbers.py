"""Numbers and arrays out of what a file holds: checked, and described in a few words where they are something else."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.formats.safe_pickle import describe

LOOP_MODES = ("CLAMP", "WRAP")
MAX_FPS = 1000
"""Frames per second that motion capture reaches; more is a slip."""
_LARGEST = 1e18
_MAX_ITEMS = 5_000_000
"""Numbers in lists; larger motions come as arrays."""
_MAX_DEPTH = 4


def number(value: Any, where: str) -> float:
    """A finite number.

    Raises:
        DataError: anything else.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not known:
        raise DataError(f"{where} is {describe(value)}, a number is needed")
    if not abs(value) <= _LARGEST:
        raise DataError(f"{where} is {describe(value)}, a finite number of reasonable size is needed")
    return float(value)


def frame_rate(value: Any, where: str) -> float:
    """Frames per second; one that is not whole must be possible, whole ones are left to `container.validate`.

    Raises:
        DataError: not a number, or not from 0.5 to `MAX_FPS`.
    """
    fps = number(value, f"{where}: fps")
    if fps != int(fps) and not 0.5 < fps <= MAX_FPS:
        raise DataError(f"{where}: fps is {fps:.6g}, it must be above 0 and at most {MAX_FPS}")
    return fps


def array(value: Any, where: str) -> np.ndarray:
    """An array of numbers, as it is or made of nested lists.

    Raises:
        DataError: anything else.
    """
    if isinstance(value, (list, tuple)):
        _check_lists(value, where)
        try:
            value = np.asarray(value)
        except (ValueError, OverflowError) as error:  # rows of different lengths
            raise DataError(f"{where} is not an array of numbers ({str(error)[:120]})") from None
    elif isinstance(value, (bool, int, float, np.generic)):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        raise DataError(f"{where} is not an array of numbers")
    return value


def _check_lists(value: Any, where: str) -> None:
    """A list that holds itself, or one twice, and that again, may stand for any number of items."""
    left = _MAX_ITEMS
    todo = [(value, _MAX_DEPTH)]
    while todo:
        items, depth = todo.pop()
        left -= len(items)
        if left < 0 or depth == 0:
            raise DataError(f"{where} is a list too deep or too long for an array of numbers")
        todo.extend((item, depth - 1) for item in items if isinstance(item, (list, tuple)))


def float32(value: np.ndarray) -> np.ndarray:
    """A contiguous float32 copy (or the array itself); what float32 cannot hold becomes infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(value, dtype=np.float32)


def expect_shape(value: np.ndarray, shape: Tuple[int, ...], where: str) -> None:
    """Raise `DataError` for any other shape."""
    if value.shape != shape:
        raise DataError(f"{where} has shape {list(value.shape)}, {list(shape)} is needed")


def loop_mode_of(value: Any, where: str) -> str:
    """A loop mode by name or by number (0 CLAMP, 1 WRAP), alone or in an array of no dimensions.

    Raises:
        DataError: anything else.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, (int, np.integer)) and 0 <= value < len(LOOP_MODES):
        return LOOP_MODES[int(value)]
    if isinstance(value, str) and value in LOOP_MODES:
        return str(value)
    raise DataError(f"{where}: loop_mode is {describe(value)}, known are CLAMP and WRAP")


def terrain_of(fields: Dict[str, Any], where: str) -> Dict[str, Any]:
    """`hf`, `min_point`, `dx` and `hf_maxmin` (or None) of a terrain whose cell size is one number or one per axis.

    Raises:
        DataError: a key is missing or misshapen.
    """
    spacing = fields.get("dx", fields.get("dxdy"))
    if "hf" not in fields or "min_point" not in fields or spacing is None:
        raise DataError(f"{where} lacks hf, min_point or dx, so it cannot be converted")
    hf, corner = (array(fields[key], f"{where}: {key}") for key in ("hf", "min_point"))
    cell = np.unique(array(spacing, f"{where}: dx"))
    if hf.ndim != 2 or corner.shape != (2,) or len(cell) != 1:
        raise DataError(f"{where}: hf [nx, ny], min_point [2] and one dx for both axes are needed")
    maxmin = fields.get("hf_maxmin")
    if maxmin is not None:
        maxmin = array(maxmin, f"{where}: hf_maxmin")
        expect_shape(maxmin, (*hf.shape, 2), f"{where}: hf_maxmin")
    dx = round(number(cell[0], f"{where}: dx"), 6)
    return {"hf": hf, "min_point": corner, "dx": dx, "hf_maxmin": maxmin}
