"""Files of `torch.save`, read within bounds: models, checkpoints, failure rates.

`torch.load(weights_only=True)` runs nothing of a file, but a few bytes can make it hash or walk for ever, or reserve
gigabytes. So the pickle is first run on stand-ins (see `pickle_machine`), which costs what its size allows; only a
file whose tensors fit into it is given to torch.
"""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import tarfile
import zipfile
from collections import OrderedDict
from typing import Any, Dict, List, Tuple

import torch

from parc_core.errors import DataError
from parc_core.motion.formats.pickle_limits import Budget, max_steps
from parc_core.motion.formats.pickle_machine import Callee, Stateful, opcodes, run
from parc_core.motion.formats.safe_pickle import printable
from parc_core.system.files import PathLike, open_regular

_MAX_PICKLE = 64 << 20
"""Bytes of the pickle itself, which holds no tensor's numbers; ours have some ten kB."""
_MAX_DEPTH = 100
_PICKLES_OF_OLD_FORMAT = 5  # magic number, version, machine, the value, keys of the storages
_ITEM_SIZES = {"Double": 8, "Long": 8, "ComplexDouble": 16, "ComplexFloat": 8, "Float": 4, "Int": 4}
_ITEM_SIZES.update({"Half": 2, "BFloat16": 2, "Short": 2})

_BROKEN = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    tarfile.TarError,
    struct.error,
    RuntimeError,  # with it RecursionError and NotImplementedError
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    ImportError,
)


def load(path: PathLike) -> Any:
    """The plain containers and tensors of a file, on the CPU.

    Raises:
        DataError: the file is missing, a folder, damaged, holds other objects, or asks for more than its size allows.
    """
    if os.path.isdir(path):
        raise DataError(f"{path}: is a folder; name a file in it")
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file; correct the path")
    try:
        _check(path)
        return torch.load(str(path), map_location="cpu", weights_only=True)
    except _BROKEN as error:
        raise DataError(
            f"{path}: not readable as a PyTorch file of tensors ({_reason(error)}); use another file"
        ) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, pickle.UnpicklingError):
        # PyTorch's own text for a refused pickle advises to switch its safety off.
        return "damaged, or other objects than tensors in it"
    text = str(error).split("\n")[0][:160]
    return printable(text) or type(error).__name__


class _Refused(pickle.UnpicklingError):
    """A reason of ours."""


def _check(path: PathLike) -> None:
    """Raises where torch would take more than the file's size allows, or could not read it anyway."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        budget = Budget(size)
        if file.read(4) == b"PK\x03\x04":  # what torch itself goes by
            with zipfile.ZipFile(file) as parts:
                pickles, room = [_pickle_of(parts, budget)], sum(p.file_size for p in parts.infolist())
        else:
            file.seek(0)
            if _is_tar(file.read(512)):
                raise _Refused("the format of PyTorch before 2017")
            file.seek(0)
            pickles, room = _split(file.read(_MAX_PICKLE)), size
    for data in pickles:
        stand_ins = _StandIns(room, budget)
        value = run(data, stand_ins.find_class, stand_ins.storage)
        _check_growth(value, max_steps(len(data)))


def _pickle_of(parts: zipfile.ZipFile, budget: Budget) -> bytes:
    names = [part for part in parts.infolist() if part.filename.lower().endswith("data.pkl")]
    if len(names) != 1:  # with two of them it is open which one torch takes
        raise _Refused(f"{len(names)} pickles in its archive")
    budget.take(sum(part.file_size for part in parts.infolist()))
    if names[0].file_size > _MAX_PICKLE:
        raise _Refused("its pickle is larger than any model's")
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


class _Value(Stateful):
    """Stand-in of an object that is no tensor; torch decides whether it takes it."""

    __slots__ = ("parts",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, parts: List[Any]) -> None:
        self.parts = parts

    def set_state(self, state: Any) -> None:
        self.parts.append(state)


class _Dict(OrderedDict, Stateful):
    """Stand-in of the dictionary that a state_dict is, which has a state of its own."""

    def set_state(self, state: Any) -> None:
        self[("state",)] = state


class _Class(Callee):
    """Stand-in of a class or function that makes something."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def made(self, arguments: Tuple[Any, ...]) -> Any:
        if self.name == "OrderedDict" and not arguments:
            return _Dict()
        return _Value(list(arguments))


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
        return _Value([])


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


class _StandIns:
    """What stands for the globals and storages of one pickle."""

    def __init__(self, room: int, budget: Budget) -> None:
        self._left, self._budget = room, budget
        self._keys: Dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Callee:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensors(self._budget)
        return _Class(name)

    def storage(self, key: Any) -> _Storage:
        if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[2], str):
            raise pickle.UnpicklingError("a reference to something else than a storage")
        kind, count = getattr(key[1], "name", ""), key[4]
        item_size = _ITEM_SIZES.get(kind[: -len("Storage")], 1)
        if type(count) is not int or count < 0:
            raise pickle.UnpicklingError("a storage without a size")
        if key[2] not in self._keys:
            self._left -= count * item_size
            if self._left < 0:
                raise _Refused("its tensors are larger than the file")
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
        elif isinstance(item, _Value):
            parts = item.parts
        else:
            return 1
        if id(item) not in sizes:
            if depth == 0:  # a value that holds itself comes here, too
                raise _Refused("values inside values, too deep")
            sizes[id(item)] = 1 + sum([size_of(part, depth - 1) for part in parts])
        if sizes[id(item)] > most:
            raise _Refused("it grows beyond all measure when read")
        return sizes[id(item)]

    size_of(value, _MAX_DEPTH)
