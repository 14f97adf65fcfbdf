"""Files of `torch.save`, read within bounds, and written: models, checkpoints, failure rates.

`torch.load(weights_only=True)` runs nothing of a file, but a few bytes can make it hash or walk for ever, or reserve
gigabytes. So the pickle is first run on stand-ins (see `torch_limits`), which costs what its size allows; only a file
whose tensors fit into it is given to torch.
"""

from __future__ import annotations

import os
import pickle
import re
import struct
import tarfile
import zipfile
from typing import IO, Any, Optional, cast

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

_TOO_NEW = re.compile(r"Unsupported (?:operand 71\b|class (torch\.[a-z]+[0-9]*)\b)")
"""PyTorch 1.13 on what PyTorch 2 reads: Python's floats, and some dtypes that stand alone (not those of tensors)."""


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


def save(value: Any, file: IO[bytes]) -> None:
    """`torch.save` into an open file whose errors come as they are.

    An error of the file within `torch.save` is told by torch as "unexpected pos", and ends the whole process with
    PyTorch 1.13: it is kept until torch is done.

    Raises:
        OSError: the file cannot be written, or the disk is full.
    """
    sink = _Sink(file)
    torch.save(value, cast("IO[bytes]", sink))
    if sink.error is not None:
        raise sink.error


class _Sink:
    """What torch writes into; after the first error nothing more is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: Optional[BaseException] = None

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                self._file.write(data)
            except BaseException as error:  # noqa: BLE001 - `save` raises it
                self.error = error
        return memoryview(data).nbytes

    def flush(self) -> None:
        """What is left goes out when the file is closed, where its errors are heard."""


def _reason(error: BaseException) -> str:
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, pickle.UnpicklingError):
        # PyTorch's own text for a refused pickle advises to switch its safety off.
        old = _TOO_NEW.search(str(error))
        if old:
            what = old[1] or "Python float"
            return f"PyTorch {torch.__version__} reads no {what} beside tensors, PyTorch 2 does"
        return "damaged, or other objects than tensors in it"
    text = str(error).split("\n")[0][:160]
    return printable(text) or type(error).__name__
