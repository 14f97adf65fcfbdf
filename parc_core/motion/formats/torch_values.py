"""What stands for torch's tensors while a pickle is read (see `pickle_values`): numpy arrays."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np

from parc_core.motion.formats.pickle_limits import Budget
from parc_core.motion.formats.pickle_machine import check_key
from parc_core.motion.formats.pickle_values import Function, Globals, as_bytes
from parc_core.motion.formats.torch_limits import check


def torch_globals(budget: Budget) -> Globals:
    import torch

    def load_storage(data: Any) -> Any:
        data = as_bytes(data)
        check(io.BytesIO(data), budget)
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
