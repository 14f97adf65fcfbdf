"""What reading a file of `torch.save` would cost, found out before torch reads it: its pickle is run on stand-ins.

torch calls what the pickle names, such as `torch.FloatTensor(10**9)`, so only what `torch.save` writes may stand there.
"""

from __future__ import annotations

import os
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from typing import IO, Any, Callable, Dict, List, Tuple

from parc_core.motion.formats.pickle_limits import Budget, max_steps
from parc_core.motion.formats.pickle_machine import Callee, Stateful, opcodes, run

_MAX_PICKLE = 64 << 20
"""Bytes of the pickle itself, which holds no tensor's numbers; ours have some ten kB."""
_MAX_DEPTH = 100
_PICKLES_OF_OLD_FORMAT = 5  # magic number, version, machine, the value, keys of the storages
_ITEM_SIZES = {
    f"{kind}Storage": size
    for size, kinds in {
        1: ("Byte", "Char", "Bool", "QInt8", "QUInt8", "Untyped", "Typed"),
        2: ("Half", "BFloat16", "Short"),
        4: ("Float", "Int", "QInt32"),
        8: ("Double", "Long", "ComplexFloat"),
        16: ("ComplexDouble",),
    }.items()
    for kind in kinds
}
"""Bytes of an element."""
_DTYPES = frozenset(
    f"{kind}{bits}"
    for kind, sizes in {
        "float": (64, 32, 16),
        "bfloat": (16,),
        "complex": (128, 64, 32),
        "int": (64, 32, 16, 8),
        "uint": (64, 32, 16, 8),
        "bool": ("",),
    }.items()
    for bits in sizes
)


class Refused(pickle.UnpicklingError):
    """A reason of ours."""


def check(file: IO[bytes], budget: Budget) -> None:
    """Raises where torch would take more than the file's size allows, or could not read it anyway.

    Args:
        file: a whole file of `torch.save`, at its beginning; afterwards anywhere in it.
        budget: what the file may grow to; one for all storages of a motion's pickle.

    Raises:
        Refused, pickle.UnpicklingError, and what Python raises on broken archives and pickles.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(4) == b"PK\x03\x04":  # what torch itself goes by
        with zipfile.ZipFile(file) as parts:
            pickles, room = [_pickle_of(parts, budget)], sum(p.file_size for p in parts.infolist())
    else:
        file.seek(0)
        if _is_tar(file.read(512)):
            raise Refused("the format of PyTorch before 2017")
        file.seek(0)
        budget.take(size)
        pickles, room = _split(file.read(_MAX_PICKLE)), size
    for data in pickles:
        stand_ins = _StandIns(room, budget)
        value = run(data, stand_ins.find_class, stand_ins.storage)
        _check_growth(value, max_steps(len(data)))


def _pickle_of(parts: zipfile.ZipFile, budget: Budget) -> bytes:
    if any(part.filename.rpartition("/")[2] == "constants.pkl" for part in parts.infolist()):
        raise Refused("a TorchScript program")
    names = [part for part in parts.infolist() if part.filename.lower().endswith("data.pkl")]
    if len(names) != 1:  # with two of them it is open which one torch takes
        raise Refused(f"{len(names)} pickles in its archive")
    budget.take(sum(part.file_size for part in parts.infolist()))
    if names[0].file_size > _MAX_PICKLE:
        raise Refused("its pickle is larger than any model's")
    return parts.read(names[0])


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _split(data: bytes) -> List[bytes]:
    """The pickles at the start of a file of the old format."""
    found = []
    for _ in range(_PICKLES_OF_OLD_FORMAT):
        for _ in opcodes(data):
            pass  # refuses what takes too many steps, before the ends are looked for
        end = next(place or 0 for opcode, _, place in pickletools.genops(data) if opcode.name == "STOP") + 1
        found.append(data[:end])
        data = data[end:]
    return found


class _Value:
    """Stand-in of an object that is no container."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


class _Tensor(_Value):
    __slots__ = ()


class _Dict(OrderedDict, Stateful):
    """Stand-in of the dictionary that a state_dict is, which has a state of its own."""

    def set_state(self, state: Any) -> None:
        self[("state",)] = state


class _Name:
    """Stand-in of a dtype or of a kind of storage: called, it would reserve what the file says."""

    __slots__ = ("item_size",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, item_size: int) -> None:
        self.item_size = item_size


class _Function(Callee):
    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def made(self, arguments: Tuple[Any, ...]) -> Any:
        return self._make(*arguments)


def _empty_dict() -> _Dict:
    return _Dict()  # `torch.save` gives it no items here


def _parameter(data: Any, requires_grad: Any, hooks: Any) -> _Tensor:
    if not isinstance(data, _Tensor) or not isinstance(requires_grad, bool) or hooks:
        raise pickle.UnpicklingError("a parameter without a tensor")
    return data


def _size(lengths: Any) -> _Value:
    if not isinstance(lengths, tuple) or not all(type(length) is int for length in lengths):
        raise pickle.UnpicklingError("a size that is not of whole numbers")
    return _Value()


class _Tensors(Callee):
    """Stand-in of the function that makes tensors of a storage."""

    __slots__ = ("_budget",)

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def made(self, arguments: Tuple[Any, ...]) -> Any:
        storage, _, size, *_others = arguments
        if not isinstance(storage, _Storage) or not isinstance(size, tuple):
            raise pickle.UnpicklingError("a tensor without a storage")
        if not all(type(length) is int and 0 <= length < 2**63 for length in size):
            raise pickle.UnpicklingError("a tensor without a shape")
        self._budget.take(_product(size) * storage.item_size)
        return _Tensor()


def _product(size: Tuple[int, ...]) -> int:
    count = 1
    for length in size[:64]:
        count *= length
    return count


class _Storage:
    """Stand-in of a tensor's numbers."""

    __slots__ = ("item_size",)

    def __init__(self, item_size: int) -> None:
        self.item_size = item_size


_FUNCTIONS: Dict[Tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _empty_dict,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_parameter"): _parameter,
}


class _StandIns:
    """What stands for the globals and storages of one pickle."""

    def __init__(self, room: int, budget: Budget) -> None:
        self._left, self._budget = room, budget
        self._keys: Dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a global: all that `torch.save` writes of plain containers and tensors, and no more."""
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensors(self._budget)
        if (module, name) in _FUNCTIONS:
            return _Function(_FUNCTIONS[module, name])
        if module == "torch" and name in _DTYPES:
            return _Name(0)
        if module in ("torch", "torch.storage") and name in _ITEM_SIZES:
            return _Name(_ITEM_SIZES[name])
        raise pickle.UnpicklingError("an object that is no tensor")

    def storage(self, key: Any) -> _Storage:
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[2], str):
            raise pickle.UnpicklingError("a reference to something else than a storage")
        count, item_size = key[4], getattr(key[1], "item_size", 0)
        if item_size == 0:
            raise pickle.UnpicklingError("a storage of no known kind")
        if type(count) is not int or count < 0:
            raise pickle.UnpicklingError("a storage without a size")
        if key[2] not in self._keys:
            self._left -= count * item_size
            if self._left < 0:
                raise Refused("its tensors are larger than the file")
            self._keys[key[2]] = _Storage(item_size)
        return _Storage(item_size)


def _check_growth(value: Any, most: int) -> None:
    """Refuses values that are too deep, hold themselves, or share parts so that walking through them never ends."""
    sizes: Dict[int, int] = {}

    def size_of(item: Any, depth: int) -> int:
        parts: Any = ()
        if isinstance(item, dict):
            parts = item.values()
        elif isinstance(item, (list, tuple, set, frozenset)):
            parts = item
        else:
            return 1
        if id(item) not in sizes:
            if depth == 0:  # a value that holds itself comes here, too
                raise Refused("values inside values, too deep")
            sizes[id(item)] = 1 + sum([size_of(part, depth - 1) for part in parts])
        if sizes[id(item)] > most:
            raise Refused("it grows beyond all measure when read")
        return sizes[id(item)]

    size_of(value, _MAX_DEPTH)
