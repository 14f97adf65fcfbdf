"""What stands for numpy's and torch's objects while a pickle is read (see `safe_pickle`).

None of them is numpy's or torch's own function: a forged dtype state can make numpy's `__setstate__` take file bytes
for pointers.
"""

from __future__ import annotations

import functools
import io
import pickle
import re
import zipfile
from typing import Any, Callable, Dict, List, NoReturn, Tuple

import numpy as np

from parc_core.motion.formats.pickle_limits import Budget

Globals = Dict[Tuple[str, str], Any]

_PLAIN_DTYPE = re.compile(r"[biufcSUO][0-9]{1,9}")


class Forbidden(Exception):
    """A global that motion files have no business with."""


class Function:
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

    __slots__ = ("_budget", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.value = np.empty(0, dtype=np.float32)

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        shape, dtype, fortran, data = state[-4:]
        kind = dtype.resolve()
        self._budget.take(len(data) * (kind.itemsize if kind.hasobject else 1))
        if kind.hasobject:
            flat = _object_items(list(data))  # finished with all that holds it
        else:
            # A copy, as frombuffer is read-only; native byte order, as torch knows no other.
            flat = np.frombuffer(data, dtype=kind).astype(kind.newbyteorder("="))
        self.value = flat.reshape(tuple(shape), order="F" if fortran else "C")


def _scalar(budget: Budget, dtype: _Dtype, data: Any) -> Any:
    kind = dtype.resolve()
    budget.take(kind.itemsize)
    if kind.hasobject:
        raise pickle.UnpicklingError("object scalar")
    return np.frombuffer(data, dtype=kind, count=1).astype(kind.newbyteorder("="))[0]


def numpy_globals(budget: Budget) -> Globals:
    array = Function(lambda *_shape_dtype: _Array(budget))
    known: Globals = {
        ("numpy", "ndarray"): array,
        ("numpy", "dtype"): Function(_Dtype),
    }
    for core in ("numpy.core.multiarray", "numpy._core.multiarray"):
        known[(core, "_reconstruct")] = array
        known[(core, "scalar")] = Function(functools.partial(_scalar, budget))
    return known


def torch_globals(budget: Budget) -> Globals:
    from collections import OrderedDict

    import torch

    def load_storage(data: bytes) -> Any:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as parts:
                budget.take(sum(part.file_size for part in parts.infolist()))
        # The original runs torch.load on these bytes with everything allowed; this one allows tensors alone.
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)

    def rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_grad_hooks: Any) -> np.ndarray:
        # Checked by torch: size and stride must stay inside the storage.
        tensor = torch._utils._rebuild_tensor(storage, offset, tuple(size), tuple(stride))
        budget.take(tensor.numel() * tensor.element_size())
        return tensor.detach().numpy().copy()

    return {
        ("collections", "OrderedDict"): Function(OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2"): Function(rebuild_tensor),
        ("torch.storage", "_load_from_bytes"): Function(load_storage),
    }


TORCH_NAMES = (
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch.storage", "_load_from_bytes"),
)


class Record:
    """What is left of an object of a class that is not known here: its attributes, as plain values."""

    __slots__ = ("fields",)
    __hash__ = None  # type: ignore[assignment]

    fields: Dict[str, Any]

    def __new__(cls, *arguments: Any) -> Record:
        """Pickles make objects without `__init__`."""
        made = super().__new__(cls)
        made.fields = {"arguments": arguments} if arguments else {}
        return made

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("the state of an object is not a dict")
        self.fields.update(state)


def finish(value: Any, done: Dict[int, Tuple[Any, Any]]) -> Any:
    """Replace the stand-ins inside containers by what they stand for.

    Args:
        value: what was read.
        done: finished containers and what became of them, by id: what many share is looked at once, and loops end.
    """
    if isinstance(value, Function):
        raise Forbidden("a function as a value")
    if isinstance(value, _Dtype):
        return value.resolve()
    if not isinstance(value, (_Array, Record, dict, list, tuple)):
        return value
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, tuple):
        finished = tuple(finish(item, done) for item in value)
        done[id(value)] = (value, finished)
        return finished
    if isinstance(value, _Array):
        done[id(value)] = (value, value.value)
        if value.value.dtype.hasobject:
            items = _object_items([finish(item, done) for item in value.value.flat])
            value.value[...] = items.reshape(value.value.shape)
        return value.value
    done[id(value)] = (value, value)
    if isinstance(value, list):
        value[:] = [finish(item, done) for item in value]
    else:
        fields = value.fields if isinstance(value, Record) else value
        for key in fields:
            fields[key] = finish(fields[key], done)
    return value


def _object_items(items: List[Any]) -> np.ndarray:
    """A row of any objects; numpy would take arrays among them apart."""
    row = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        row[place] = item
    return row


def without_numpy_scalars(value: Any) -> Any:
    """The value with numpy's single numbers as Python's: their pickles differ between numpy 1 and 2."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: without_numpy_scalars(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(without_numpy_scalars(item) for item in value)
    return value
