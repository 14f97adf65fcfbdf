"""Pickles of motion files, read without running anything and written for every numpy.

Only the numpy globals of spec section 2 are known, as stand-ins (see `pickle_values`). Pickles that grow beyond all
measure when read (see `pickle_limits`) are corrupt.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
import struct
import warnings
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.formats.pickle_limits import Budget, check_memo
from parc_core.motion.formats.pickle_values import (
    TORCH_NAMES,
    Forbidden,
    Function,
    Globals,
    finish,
    numpy_globals,
    torch_globals,
)

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
)


class _Unpickler(pickle.Unpickler):
    def __init__(
        self,
        file: io.BytesIO,
        known: Globals,
        others: Optional[Callable[[str, str], Any]] = None,
    ) -> None:
        super().__init__(file)
        self._known = known
        self._others = others

    def find_class(self, module: str, name: str) -> Any:
        found = self._known.get((module, name))
        if found is None and self._others is not None:
            found = self._others(module, name)
        if found is None:
            raise Forbidden(printable(f"{module}.{name}"))
        return found


def loads(
    data: bytes, where: str, allow_torch: bool = False, others: Optional[Callable[[str, str], Any]] = None
) -> Any:
    """Read a pickle made of plain Python values and numpy arrays; nothing else is ever called.

    Args:
        data: the pickle.
        where: file (and key) for messages.
        allow_torch: also read torch tensors (as numpy arrays), as some misc_data hold; their nested
            storages go through `torch.load(weights_only=True)`.
        others: what stands for a global that is not known here, by module and name; None refuses it. It must run
            nothing of the file's (`pickle_values.Record`).

    Returns:
        The value; arrays are fresh, writable and in native byte order.

    Raises:
        DataError: not a pickle, cut short, or it asks for a global not allowed (named in the message).
    """
    budget = Budget(len(data))
    known = numpy_globals(budget)
    if allow_torch:
        known.update(torch_globals(budget))
    return _load(data, where, known, others)


def _load(
    data: bytes,
    where: str,
    known: Globals,
    others: Optional[Callable[[str, str], Any]] = None,
) -> Any:
    try:
        check_memo(data)
        return finish(_Unpickler(io.BytesIO(data), known, others).load(), {})
    except Forbidden as error:
        hint = _hint(str(error), ("torch.storage", "_load_from_bytes") in known)
        raise DataError(f"{where}: refused, its pickle asks for {error}; {hint}") from None
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
    with contextlib.suppress(*_BROKEN), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd escapes in broken text
        for opcode, argument, _ in pickletools.genops(data):
            if "UNICODE" in opcode.name and isinstance(argument, str):
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
