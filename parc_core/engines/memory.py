"""What to set where a device has no memory for that many environments."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Iterator, Tuple, Union

import torch

from parc_core.errors import ConfigError

_ROOM = 0.9  # share of the free memory that is planned with: allocators leave gaps
_ROUND = 64  # the number that fits is rounded down to a multiple of it
_UNITS = {"": 1.0, "k": 2.0**10, "m": 2.0**20, "g": 2.0**30}
_ASKED = re.compile(r"(?:tried|try|failed) to allocate (\d+(?:\.\d+)?)\s*([kmg]?)i?b", re.IGNORECASE)


class MemoryUse:
    """What is taken of a device's memory from here on; turns out-of-memory errors into what to set."""

    def __init__(self, device: Union[str, torch.device], num_envs: int) -> None:
        self._device, self._num_envs = torch.device(device), num_envs
        self._before = _used_and_total(self._device)[0]

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Raises ConfigError, with about how many environments would fit, where memory runs out inside."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise ConfigError(self._message(error)) from error

    def _message(self, error: BaseException) -> str:
        used, total = _used_and_total(self._device)
        begin = f"out of memory: {self._num_envs} environments do not fit on {self._device} ({total / 2**30:.1f} GiB)"
        # A lower bound: what would have been asked for later is not known.
        each = (used - self._before + _asked_for(error)) / self._num_envs
        if each <= 0:
            return f"{begin}; lower num_envs"
        fit = min(int(_ROOM * (total - self._before) / each), self._num_envs - 1)
        fit = fit // _ROUND * _ROUND if fit >= _ROUND else fit
        return (
            f"{begin} at {each / 2**20:.2f} MiB each or more; "
            + (f"at most about {fit} would fit, set num_envs" if fit > 0 else "not even one would fit")
            + " (steps_per_iter, batch_size and the networks of the agent config count too)"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch, Warp or Python found no memory."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error).lower()
    wanted = ("out of memory", "failed to allocate", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(part in text for part in wanted)


def _asked_for(error: BaseException) -> float:
    """Bytes of the allocation that failed, as PyTorch or Warp say it; 0 where the message has none."""
    match = _ASKED.search(str(error))
    return float(match[1]) * _UNITS[match[2].lower()] if match else 0.0


def _used_and_total(device: torch.device) -> Tuple[float, float]:
    """Bytes in use on the device (by everybody) and in all; on a CPU only the second is known."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return float(total - free), float(total)
    return 0.0, float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
