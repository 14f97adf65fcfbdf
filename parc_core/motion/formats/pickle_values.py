"""What stands for numpy's objects, and for those of unknown classes, while a pickle is read (see `safe_pickle`).

None of them is numpy's or torch's own function: a forged dtype state can make numpy's `__setstate__` take file bytes
for pointers.
"""

from __future__ import annotations

import functools
import pickle
import re
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from parc_core.motion.formats.pickle_limits import Budget
from parc_core.motion.formats.pickle_machine import Callee, Stateful, check_key

Globals = Dict[Tuple[str, str], Any]
Done = Dict[int, Tuple[Any, Any]]
"""Finished containers and what became of them, by id."""

_MAX_DEPTH = 250
"""Containers inside containers: all that walks through them, or writes them again, does so by recursion."""

_PLAIN_DTYPE = re.compile(r"[biufcSUO][0-9]{1,9}")
_UNREAD_DTYPE = re.compile(r"([MmV])[0-9]{1,9}")
_UNREAD = {"M": "dates", "m": "time spans", "V": "structures"}


class Forbidden(Exception):
    """A global that motion files have no business with."""


class Unread(Exception):
    """A sound array of a kind that is not read."""


class Function(Callee):
    """A callable that a pickle may call but not alter."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def made(self, arguments: Tuple[Any, ...]) -> Any:
        return self._call(*arguments)


class _Dtype(Stateful):
    """Stand-in of numpy.dtype: plain numbers, flags, strings and object lists; no structures."""

    __slots__ = ("order", "spec")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, spec: str, *_align_copy: Any) -> None:
        # numpy's own parser of such texts evaluates parts of them.
        if not isinstance(spec, str) or not _PLAIN_DTYPE.fullmatch(spec):
            kind = _UNREAD_DTYPE.fullmatch(spec) if isinstance(spec, str) else None
            if kind is not None:
                raise Unread(f"an array of {_UNREAD[kind[1]]} ({spec})")
            shown = spec[:40] if isinstance(spec, str) else type(spec).__name__
            raise pickle.UnpicklingError(f"dtype {shown!r} is not of plain numbers or text")
        self.spec = spec
        self.order = "="

    def set_state(self, state: Any) -> None:
        order = state[1]
        if not isinstance(order, str) or order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("an unknown byte order")
        self.order = order

    def resolve(self) -> np.dtype:
        return np.dtype(self.spec).newbyteorder(self.order)  # type: ignore[arg-type]


class _Array(Stateful):
    """Stand-in of numpy.ndarray: holds the checked array once its state has been read."""

    __slots__ = ("_budget", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.value: np.ndarray = np.empty(0, dtype=np.float32)

    def finish(self, done: Done, depth: int) -> np.ndarray:
        """The array, with the stand-ins among its objects replaced."""
        done[id(self)] = (self, self.value)
        if self.value.dtype.hasobject:
            items = _object_items([finish(item, done, depth + 1) for item in self.value.flat])
            self.value[...] = items.reshape(self.value.shape)
        return self.value

    def set_state(self, state: Any) -> None:
        shape, dtype, fortran, data = state[-4:]
        kind = _kind(dtype)
        self._budget.take(len(data) * (kind.itemsize if kind.hasobject else 1))
        # Objects are finished with all that holds them.
        flat = _object_items(list(data)) if kind.hasobject else _numbers(as_bytes(data), kind)
        self.value = flat.reshape(_shape(shape), order="F" if fortran is True or fortran == 1 else "C")


def _from_buffer(
    budget: Budget, data: Any, dtype: Any, shape: Any, order: Any = "C", axis_order: Any = None
) -> _Array:
    """An array of pickle protocol 5; order "K" comes with the order of its axes (numpy 2)."""
    found = _Array(budget)
    data = as_bytes(data)
    budget.take(len(data))
    flat = _numbers(data, _kind(dtype))
    if order == "K" and axis_order is not None:
        found.value = flat.reshape(_shape(shape)).transpose(_shape(axis_order))
    else:
        found.value = flat.reshape(_shape(shape), order="F" if order == "F" else "C")
    return found


def _numbers(data: bytes, kind: np.dtype) -> np.ndarray:
    """A writable copy in native byte order: torch knows no other."""
    return np.frombuffer(data, dtype=kind).astype(kind.newbyteorder("="))


def _kind(dtype: Any) -> np.dtype:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array without a dtype")
    return dtype.resolve()


def _shape(shape: Any) -> Tuple[int, ...]:
    if not isinstance(shape, tuple) or not all(isinstance(size, int) for size in shape):
        raise pickle.UnpicklingError("a shape that is not of whole numbers")
    return shape


def as_bytes(data: Any) -> bytes:
    """The bytes of an array; Python 2 wrote them as text."""
    if isinstance(data, str):
        return data.encode("latin-1")
    if not isinstance(data, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array without bytes")
    return bytes(data)


def _scalar(budget: Budget, dtype: Any, data: Any) -> Any:
    kind = _kind(dtype)
    budget.take(kind.itemsize)
    if kind.hasobject:
        raise pickle.UnpicklingError("object scalar")
    return np.frombuffer(as_bytes(data), dtype=kind, count=1).astype(kind.newbyteorder("="))[0]


def numpy_globals(budget: Budget) -> Globals:
    """What numpy 1 and 2 write of arrays and numbers, with the plain values of Python's older protocols."""
    array = Function(lambda *_shape_dtype: _Array(budget))
    known: Globals = {
        ("numpy", "ndarray"): array,
        ("numpy", "memmap"): array,
        ("numpy", "dtype"): Function(_Dtype),
    }
    for core in ("numpy.core", "numpy._core"):
        known[(f"{core}.multiarray", "_reconstruct")] = array
        known[(f"{core}.multiarray", "scalar")] = Function(functools.partial(_scalar, budget))
        known[(f"{core}.numeric", "_frombuffer")] = Function(functools.partial(_from_buffer, budget))
    known.update(_plain_globals(budget))
    return known


def _plain_globals(budget: Budget) -> Globals:
    """How protocols 0 to 3 write bytes, byte arrays, sets and complex numbers."""

    def encode(text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError("text in another encoding")
        budget.take(len(text))
        return text.encode("latin-1")

    def plain_bytes(data: Any = b"", encoding: Any = "latin1") -> bytes:
        if isinstance(data, str):
            return encode(data, encoding)
        if not isinstance(data, bytes):
            raise pickle.UnpicklingError("bytes of other values")
        budget.take(len(data))
        return data

    def items(values: Any = ()) -> List[Any]:
        if not isinstance(values, (list, tuple)):
            raise pickle.UnpicklingError("a set of other values")
        budget.take(100 * len(values))
        return [check_key(value) for value in values]

    known: Globals = {("_codecs", "encode"): Function(encode)}
    for builtins in ("builtins", "__builtin__"):
        known[(builtins, "bytes")] = Function(plain_bytes)
        known[(builtins, "bytearray")] = Function(lambda *given: bytearray(plain_bytes(*given)))
        known[(builtins, "set")] = Function(lambda *given: set(items(*given)))
        known[(builtins, "frozenset")] = Function(lambda *given: frozenset(items(*given)))
        known[(builtins, "complex")] = Function(lambda real, imag: complex(float(real), float(imag)))
    return known


class Record(Stateful):
    """What is left of an object of a class that is not known here: its attributes, as plain values."""

    __slots__ = ("_budget", "fields")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, budget: Budget, arguments: Tuple[Any, ...] = ()) -> None:
        self._budget = budget
        self.fields: Dict[str, Any] = {"arguments": arguments} if arguments else {}

    def set_state(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 2:  # attributes in __dict__ and in __slots__
            for part in state:
                if part is not None:
                    self.set_state(part)
            return
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("the state of an object is not a dict")
        self._budget.take(100 * len(state))
        self.fields.update(state)


class AnyClass(Callee):
    """A class that is not known here: what it makes is kept as a `Record`."""

    __slots__ = ("_budget",)

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def made(self, arguments: Tuple[Any, ...]) -> Record:
        return Record(self._budget, arguments)


def finish(value: Any, done: Done, depth: int = 0) -> Any:
    """Replace the stand-ins inside containers by what they stand for.

    Args:
        value: what was read.
        done: finished containers and what became of them, by id: what many share is looked at once, and loops end.
        depth: of `value` inside others.

    Raises:
        pickle.UnpicklingError: containers inside containers beyond all measure.
    """
    if isinstance(value, (Callee, _Dtype)):
        return _alone(value)
    if not isinstance(value, (_Array, Record, dict, list, tuple)):
        return value
    if id(value) in done:
        return done[id(value)][1]
    if depth > _MAX_DEPTH:
        raise pickle.UnpicklingError(f"values inside values, more than {_MAX_DEPTH} deep")
    if isinstance(value, _Array):
        return value.finish(done, depth)
    if isinstance(value, tuple):
        finished = tuple([finish(item, done, depth + 1) for item in value])
        done[id(value)] = (value, finished)
        return finished
    done[id(value)] = (value, value)
    if isinstance(value, list):
        value[:] = [finish(item, done, depth + 1) for item in value]
    else:
        fields = value.fields if isinstance(value, Record) else value
        for key in fields:
            fields[key] = finish(fields[key], done, depth + 1)
    return value


def _alone(value: Any) -> Any:
    """What stands for a class, a function or a dtype that is itself a value."""
    if isinstance(value, _Dtype):
        return value.resolve()
    if isinstance(value, AnyClass):
        return None  # such as the class that copyreg is to make
    raise Forbidden("a function as a value")


def _object_items(items: List[Any]) -> np.ndarray:
    """A row of any objects; numpy would take arrays among them apart."""
    row = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        row[place] = item
    return row


def plain(value: Any) -> Any:
    """A copy to write: numpy's single numbers as Python's (their pickles differ between numpy 1 and 2), records as
    dictionaries of their attributes. What many share stays shared, and loops stay loops.
    """
    return _plain(value, {})


def _plain(value: Any, done: Dict[int, Any]) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, (dict, list, tuple, Record)):
        return value
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, tuple):
        copied = tuple([_plain(item, done) for item in value])
        return done.setdefault(id(value), copied)
    if isinstance(value, list):
        made: Any = done.setdefault(id(value), [])
        made.extend([_plain(item, done) for item in value])
        return made
    fields = value.fields if isinstance(value, Record) else value
    made = done.setdefault(id(value), {})
    made.update({key: _plain(item, done) for key, item in fields.items()})
    return made
