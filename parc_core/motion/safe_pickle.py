"""Pickles of motion files, read without running anything and written for every numpy.

Only the numpy globals of spec section 2 are known, and even those are not numpy's own functions but small
stand-ins: a forged dtype state can make numpy's own `__setstate__` take file bytes for pointers.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import re
import struct
import warnings
from typing import Any, Callable, Dict, List, NoReturn, Tuple

import numpy as np

from parc_core.errors import DataError

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


_PLAIN_DTYPE = re.compile(r"[biufcSUO][0-9]{1,9}")


class _Forbidden(Exception):
    """A global that motion files have no business with."""


class _Function:
    """A callable that a pickle may call but not alter (a BUILD on a plain function could)."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, state: Any) -> NoReturn:
        raise pickle.UnpicklingError("state set on a function")


class _Dtype:
    """Stand-in of numpy.dtype: plain numbers, flags, strings and object lists; no structures."""

    __slots__ = ("order", "spec")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, spec: str, *_align_copy: Any) -> None:
        # numpy's own parser of such texts evaluates parts of them.
        if not isinstance(spec, str) or not _PLAIN_DTYPE.fullmatch(spec):
            raise pickle.UnpicklingError(f"dtype {spec!r} is not of plain numbers or text")
        self.spec = spec
        self.order = "="

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"byte order {state[1]!r}")
        self.order = state[1]

    def resolve(self) -> np.dtype:
        return np.dtype(self.spec).newbyteorder(self.order)  # type: ignore[arg-type]


class _Array:
    """Stand-in of numpy.ndarray: holds the checked array once its state has been read."""

    __slots__ = ("value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *_shape_dtype: Any) -> None:
        self.value = np.empty(0, dtype=np.float32)

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        shape, dtype, fortran, data = state[-4:]
        kind = dtype.resolve()
        if kind.hasobject:
            flat = np.empty(len(data), dtype=object)
            flat[:] = [_finish(item) for item in data]
        else:
            # A copy, as frombuffer is read-only; native byte order, as torch knows no other.
            flat = np.frombuffer(data, dtype=kind).astype(kind.newbyteorder("="))
        self.value = flat.reshape(tuple(shape), order="F" if fortran else "C")


def _scalar(dtype: _Dtype, data: Any) -> Any:
    kind = dtype.resolve()
    if kind.hasobject:
        raise pickle.UnpicklingError("object scalar")
    return np.frombuffer(data, dtype=kind, count=1).astype(kind.newbyteorder("="))[0]


def _numpy_globals() -> Dict[Tuple[str, str], Any]:
    known: Dict[Tuple[str, str], Any] = {
        ("numpy", "ndarray"): _Function(_Array),
        ("numpy", "dtype"): _Function(_Dtype),
    }
    for core in ("numpy.core.multiarray", "numpy._core.multiarray"):
        known[(core, "_reconstruct")] = _Function(_Array)
        known[(core, "scalar")] = _Function(_scalar)
    return known


def _load_storage(data: bytes) -> Any:
    import torch

    # The original runs torch.load on these bytes with everything allowed; this one allows tensors alone.
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_grad_hooks: Any) -> np.ndarray:
    import torch

    # Checked by torch: size and stride must stay inside the storage.
    tensor = torch._utils._rebuild_tensor(storage, offset, tuple(size), tuple(stride))
    return tensor.detach().numpy().copy()


def _torch_globals() -> Dict[Tuple[str, str], Any]:
    from collections import OrderedDict

    return {
        ("collections", "OrderedDict"): _Function(OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2"): _Function(_rebuild_tensor),
        ("torch.storage", "_load_from_bytes"): _Function(_load_storage),
    }


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, known: Dict[Tuple[str, str], Any]) -> None:
        super().__init__(file)
        self._known = known

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._known[(module, name)]
        except KeyError:
            raise _Forbidden(printable(f"{module}.{name}")) from None


def loads(data: bytes, where: str, allow_torch: bool = False) -> Any:
    """Read a pickle made of plain Python values and numpy arrays; nothing else is ever called.

    Args:
        data: the pickle.
        where: file (and key) for messages.
        allow_torch: also read torch tensors (as numpy arrays), as some misc_data hold; their nested
            storages go through `torch.load(weights_only=True)`.

    Returns:
        The value; arrays are fresh, writable and in native byte order.

    Raises:
        DataError: not a pickle, cut short, or it asks for a global not allowed (named in the message).
    """
    known = _numpy_globals()
    if allow_torch:
        known.update(_torch_globals())
    return _load(data, where, known)


def _load(data: bytes, where: str, known: Dict[Tuple[str, str], Any]) -> Any:
    try:
        return _finish(_Unpickler(io.BytesIO(data), known).load())
    except _Forbidden as error:
        hint = _hint(str(error), ("torch.storage", "_load_from_bytes") in known)
        raise DataError(f"{where}: refused, its pickle asks for {error}; {hint}") from None
    except _BROKEN as error:
        raise DataError(f"{where}: corrupt pickle ({_one_line(error)}); replace the file") from error
    except RuntimeError as error:  # torch's word for a storage that does not fit
        raise DataError(f"{where}: corrupt tensor ({_one_line(error)}); replace the file") from error


def check(data: bytes, where: str) -> None:
    """Raise `DataError` where a pickle asks for more than arrays and torch tensors; builds no tensor."""
    known = _numpy_globals()
    known.update({key: _Function(_nothing) for key in _torch_globals()})
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
    import pickletools

    found: List[str] = []
    with contextlib.suppress(*_BROKEN), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd escapes in broken text
        for opcode, argument, _ in pickletools.genops(data):
            if "UNICODE" in opcode.name and isinstance(argument, str):
                found.append(argument)
    return found


def _finish(value: Any) -> Any:
    """Replace the stand-ins inside containers by what they stand for."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        for key in value:
            value[key] = _finish(value[key])
        return value
    if isinstance(value, list):
        value[:] = [_finish(item) for item in value]
        return value
    if isinstance(value, tuple):
        return tuple(_finish(item) for item in value)
    if isinstance(value, _Dtype):
        return value.resolve()
    if isinstance(value, _Function):
        raise _Forbidden("a function as a value")
    return value


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
