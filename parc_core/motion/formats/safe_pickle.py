"""Pickles of motion files, read without running anything and written for every numpy.

Only the numpy globals of spec section 2 are known, as stand-ins (see `pickle_values`), and nothing of a file
is called (see `pickle_machine`). Pickles that grow beyond all measure when read, or take more steps than their size
allows (see `pickle_limits`), are corrupt.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import zipfile
from typing import Any, Dict, List, Optional

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.formats.pickle_limits import Budget
from parc_core.motion.formats.pickle_machine import opcodes, run
from parc_core.motion.formats.pickle_values import (
    AnyClass,
    Forbidden,
    Function,
    Globals,
    Unread,
    finish,
    numpy_globals,
)
from parc_core.motion.formats.torch_values import TORCH_NAMES, torch_globals

PROTOCOL = 4

# What the unpickler raises on bytes that are no pickle, cut short or forged.
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    AssertionError,
    MemoryError,
    RecursionError,
    struct.error,
    zipfile.BadZipFile,
)


def loads(data: bytes, where: str, allow_torch: bool = False, allow_classes: bool = False) -> Any:
    """Read a pickle made of plain Python values and numpy arrays; nothing else is ever called.

    Args:
        data: the pickle.
        where: file (and key) for messages.
        allow_torch: also read torch tensors (as numpy arrays), as some misc_data hold; their nested
            storages go through `torch.load(weights_only=True)`.
        allow_classes: also read objects of classes that are not known here, as `pickle_values.Record`; nothing of
            them is run.

    Returns:
        The value; arrays are fresh, writable and in native byte order.

    Raises:
        DataError: not a pickle, cut short, or it asks for a global not allowed (named in the message).
    """
    budget = Budget(len(data))
    known = numpy_globals(budget)
    if allow_torch:
        known.update(torch_globals(budget))
    return _load(data, where, known, AnyClass(budget) if allow_classes else None)


def _load(data: bytes, where: str, known: Globals, others: Optional[AnyClass] = None) -> Any:
    def find_class(module: str, name: str) -> Any:
        found = known.get((module, name), others)
        if found is None:
            raise Forbidden(printable(f"{module}.{name}"))
        return found

    try:
        return finish(run(data, find_class), {})
    except Forbidden as error:
        hint = _hint(str(error), ("torch.storage", "_load_from_bytes") in known)
        raise DataError(f"{where}: refused, its pickle asks for {error}; {hint}") from None
    except Unread as error:
        raise DataError(
            f"{where}: holds {error}, which is not read; store it as plain numbers or text, or leave it out"
        ) from None
    except _BROKEN as error:
        raise DataError(f"{where}: corrupt pickle ({_one_line(error)}); replace the file") from error
    except RuntimeError as error:  # torch's word for a storage that does not fit
        raise DataError(f"{where}: corrupt tensor ({_one_line(error)}); replace the file") from error


def check(data: bytes, where: str) -> None:
    """Raise `DataError` where a pickle asks for more than arrays and torch tensors; builds no tensor."""
    budget = Budget(len(data))
    known = numpy_globals(budget)
    known.update({key: Function(_nothing) for key in TORCH_NAMES})
    _load(data, where, known)


def _nothing(*_args: Any) -> Dict[Any, Any]:
    return {}


def dumps(value: Any) -> bytes:
    """Pickle plain values and numpy arrays so that plain `pickle.load` reads them under numpy 1.x and 2.x."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=PROTOCOL).dump(value)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Arrays by `numpy.ndarray` itself: `multiarray._reconstruct` lives elsewhere in numpy 1 and 2."""
        if type(obj) is np.ndarray:
            state = np.ascontiguousarray(obj).reshape(obj.shape).__reduce__()[2]
            return np.ndarray, ((0,),), state
        return NotImplemented


def strings(data: bytes) -> List[str]:
    """Text constants of a pickle, found by scanning its opcodes, never running them; up to a broken tail."""
    found: List[str] = []
    with contextlib.suppress(*_BROKEN):
        for name, argument in opcodes(data):
            if ("UNICODE" in name or "STRING" in name) and isinstance(argument, str):
                found.append(argument)
    return found


def _hint(name: str, allow_torch: bool) -> str:
    if not allow_torch and name.partition(".")[0] in ("torch", "collections"):
        return "only numpy arrays are read here (misc_data: pass allow_torch=True)"
    return "motion files hold numpy arrays alone, so do not trust this file"


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return printable(text[0]) if text else type(error).__name__


def printable(text: str) -> str:
    """Text from a file, fit for a one-line message: no control characters, not too long."""
    clean = "".join(c if c.isprintable() else "?" for c in text[:201])
    return clean if len(clean) <= 200 else clean[:199] + "…"


def describe(value: Any) -> str:
    """A value from a file for a message, in a few words whatever it is: `repr` of it may take for ever."""
    if isinstance(value, str):
        return repr(printable(str(value[:60])))
    if isinstance(value, np.generic):
        return printable(repr(value.item())[:60]) if value.dtype.itemsize <= 64 else f"a {value.dtype.name}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"an array of shape {list(value.shape)}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
