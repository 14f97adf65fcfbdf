"""Files of `torch.save`, read within bounds: models, checkpoints, failure rates.

`torch.load(weights_only=True)` runs nothing of a file, but a few bytes can make it hash or walk for ever, or reserve
gigabytes. So the pickle is first run on stand-ins (see `torch_limits`), which costs what its size allows; only a file
whose tensors fit into it is given to torch.
"""

from __future__ import annotations

import os
import pickle
import struct
import tarfile
import zipfile
from typing import Any

import torch

from parc_core.errors import DataError
from parc_core.motion.formats.pickle_limits import Budget
from parc_core.motion.formats.safe_pickle import printable
from parc_core.motion.formats.torch_limits import Refused, check
from parc_core.system.files import PathLike, open_regular

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
        with open_regular(path) as file:
            check(file, Budget(os.fstat(file.fileno()).st_size))
        return torch.load(str(path), map_location="cpu", weights_only=True)
    except _BROKEN as error:
        raise DataError(
            f"{path}: not readable as a PyTorch file of tensors ({_reason(error)}); use another file"
        ) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, pickle.UnpicklingError):
        # PyTorch's own text for a refused pickle advises to switch its safety off.
        return "damaged, or other objects than tensors in it"
    text = str(error).split("\n")[0][:160]
    return printable(text) or type(error).__name__
