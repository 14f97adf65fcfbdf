"""Single arrays in numpy's `.npy` form: plain numbers or text, or one pickled object, read without running it.

numpy's own reader believes what a header declares; this one takes no more than the bytes hold.
"""

from __future__ import annotations

import ast
import io
import pickle
import struct
from typing import Any, Dict, Tuple

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.formats import safe_pickle

MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000  # as numpy's own limit
_PLAIN = frozenset("fiubUS")
BROKEN = (
    struct.error,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    SyntaxError,
    RecursionError,
    MemoryError,
    OverflowError,
    NotImplementedError,
    pickle.UnpicklingError,
)
"""What reading broken bytes raises."""


def read_npy(data: bytes, where: str) -> Any:
    """The array of a file of `np.save`; of an array of objects with no dimensions, what it holds.

    Args:
        data: the file's content.
        where: its name for messages.

    Raises:
        DataError: corrupt, or it holds objects other than plain values, arrays and tensors.
    """
    try:
        header, content = _split(data)
        if header["descr"] != "|O":
            return plain_array(data)
    except BROKEN as error:
        words = safe_pickle.printable(str(error)) or type(error).__name__
        raise DataError(
            f"{where}: corrupt .npy, or not of plain numbers ({words}); replace the file"
        ) from None
    found = safe_pickle.loads(content, where, allow_torch=True)
    if not isinstance(found, np.ndarray) or found.dtype != object:
        raise DataError(f"{where}: corrupt .npy (its pickle holds no array of objects); replace the file")
    return found[()] if found.ndim == 0 else found


def plain_array(data: bytes) -> np.ndarray:
    """The array of an `.npy`, as large as its header says.

    Raises:
        One of `BROKEN`: damaged, or not of plain numbers or text.
    """
    header, content = _split(data)
    shape, kind = _shape(header["shape"]), header["descr"]
    # Structures and objects are lists and other texts; numpy's parser of texts evaluates parts of them.
    if not isinstance(kind, str) or kind[1:2] not in _PLAIN or not kind[2:].isdigit() or len(kind) > 12:
        raise ValueError("not of plain numbers or text")
    values = np.frombuffer(content, dtype=np.dtype(kind))
    native = values.astype(values.dtype.newbyteorder("="))
    return native.reshape(shape, order="F" if header["fortran_order"] is True else "C")


def _split(data: bytes) -> Tuple[Dict[str, Any], bytes]:
    """Header and content."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    size = struct.unpack("<H", file.read(2))[0] if version == (1, 0) else struct.unpack("<I", file.read(4))[0]
    if size > _MAX_HEADER:
        raise ValueError("a header beyond all measure")
    header = ast.literal_eval(file.read(size).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("a header that is not a dictionary")
    return header, file.read()


def _shape(shape: Any) -> Tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError("a shape that is not of whole numbers")
    return shape
