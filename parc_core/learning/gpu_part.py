"""A stream whose kernels keep to a part of a GPU's multiprocessors: a green context of CUDA's driver (from 12.4 on)."""

from __future__ import annotations

import ctypes
from typing import Any

import torch

_RESOURCE_BYTES = 144  # of CUdevResource
_MULTIPROCESSORS = 1  # CU_DEV_RESOURCE_TYPE_SM
_DEFAULT_STREAM = 1  # CU_GREEN_CTX_DEFAULT_STREAM, which is required
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING, likewise


def stream_on_part(device: torch.device, multiprocessors: int) -> torch.cuda.Stream:
    """A stream on at least so many of the GPU's multiprocessors (on Hopper in steps of 8) and on no others.

    Other streams still use all of them. It lives as long as the process.

    Raises:
        RuntimeError: the driver has no such streams, or the GPU not so many multiprocessors.
    """
    torch.cuda.current_stream(device).synchronize()  # CUDA is initialized
    index = torch.cuda.current_device() if device.index is None else device.index
    driver, number = _Driver(), ctypes.c_int()
    driver.call("cuDeviceGet", ctypes.byref(number), index)
    whole, part, rest = (ctypes.create_string_buffer(_RESOURCE_BYTES) for _ in range(3))
    driver.call("cuDeviceGetDevResource", number, whole, _MULTIPROCESSORS)
    groups = ctypes.c_uint(1)
    driver.call(
        "cuDevSmResourceSplitByCount",
        part,
        ctypes.byref(groups),
        whole,
        rest,
        0,
        ctypes.c_uint(multiprocessors),
    )
    if groups.value != 1:
        raise RuntimeError(f"{device} has no {multiprocessors} multiprocessors to keep to")
    description, context, stream = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    driver.call("cuDevResourceGenerateDesc", ctypes.byref(description), part, ctypes.c_uint(1))
    driver.call(
        "cuGreenCtxCreate", ctypes.byref(context), description, number, ctypes.c_uint(_DEFAULT_STREAM)
    )
    driver.call("cuGreenCtxStreamCreate", ctypes.byref(stream), context, ctypes.c_uint(_NON_BLOCKING), 0)
    made: torch.cuda.Stream = torch.cuda.ExternalStream(stream.value, device=device)
    return made


class _Driver:
    """CUDA's driver library; a call that fails says which and with what code."""

    def __init__(self) -> None:
        try:
            self._library: Any = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise RuntimeError(f"CUDA's driver cannot be loaded ({error})") from error

    def call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise RuntimeError(f"this NVIDIA driver has no {name}; it needs one for CUDA 12.4 or later")
        code = function(*arguments)
        if code != 0:
            raise RuntimeError(f"{name} failed with code {code} of CUDA's driver")
