"""What stands for torch's tensors while a pickle is read (see `pickle_values`): numpy arrays."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import Any, Tuple

import numpy as np

from parc_core.motion.formats.pickle_limits import Budget
from parc_core.motion.formats.pickle_machine import Callee, check_key, run
from parc_core.motion.formats.pickle_values import Function, Globals, as_bytes

_LEGACY_PICKLES = 5
"""At the beginning of torch's older files: magic number, version, system, value, keys of the storages."""
_ELEMENT_BYTES = {
    **dict.fromkeys(("ByteStorage", "CharStorage", "BoolStorage", "UntypedStorage"), 1),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("IntStorage", "FloatStorage"), 4),
    **dict.fromkeys(("LongStorage", "DoubleStorage", "ComplexFloatStorage"), 8),
}


def torch_globals(budget: Budget) -> Globals:
    import torch

    def load_storage(data: Any) -> Any:
        _check_storage(as_bytes(data), budget)
        # The original runs torch.load on these bytes with everything allowed; this one allows tensors alone.
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if not torch.is_storage(found):
            raise pickle.UnpicklingError("a tensor without a storage")
        return found

    def rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_grad_hooks: Any) -> np.ndarray:
        # Checked by torch: size and stride must stay inside the storage.
        tensor = torch._utils._rebuild_tensor(storage, offset, tuple(size), tuple(stride))
        budget.take(tensor.numel() * tensor.element_size())
        return tensor.detach().numpy().copy()

    return {
        ("collections", "OrderedDict"): Function(_ordered),
        ("torch._utils", "_rebuild_tensor_v2"): Function(rebuild_tensor),
        ("torch.storage", "_load_from_bytes"): Function(load_storage),
    }


def _check_storage(data: bytes, budget: Budget) -> None:
    """Raises where torch's own reader of a storage would take more than the budget: it does as its pickles say."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            budget.take(sum(part.file_size for part in parts.infolist()))
            pickles = [parts.read(part) for part in parts.infolist() if part.filename.endswith(".pkl")]
        files, each = [(found, io.BytesIO(found)) for found in pickles], 1
    else:
        files, each = [(data, io.BytesIO(data))], _LEGACY_PICKLES
        budget.take(len(data))

    def outside(identity: Any) -> Any:
        # ("storage", type, key, device, number of elements, view)
        if not isinstance(identity, tuple) or len(identity) not in (5, 6):
            raise pickle.UnpicklingError("a storage without its description")
        for part in identity:
            if not isinstance(part, Callee):
                check_key(part)
        if not isinstance(identity[4], int) or identity[4] < 0:
            raise pickle.UnpicklingError("a storage without its size")
        kind = identity[1]
        budget.take(identity[4] * (kind.element_bytes if isinstance(kind, _TorchGlobal) else 16))
        return None

    for found, file in files:
        for _ in range(each):
            run(found, lambda _module, name: _TorchGlobal(name), outside, file)


class _TorchGlobal(Callee):
    """Whatever torch's pickles name: a kind of storage, or a function that makes a tensor."""

    __slots__ = ("element_bytes",)

    def __init__(self, name: str) -> None:
        self.element_bytes = _ELEMENT_BYTES.get(name, 16)

    def made(self, arguments: Tuple[Any, ...]) -> None:
        return None


def _ordered(items: Any = ()) -> Any:
    if not isinstance(items, (list, tuple)) or not all(
        isinstance(item, (list, tuple)) and len(item) == 2 for item in items
    ):
        raise pickle.UnpicklingError("a dictionary of other values")
    return OrderedDict((check_key(key), value) for key, value in items)


TORCH_NAMES = (
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch.storage", "_load_from_bytes"),
)
