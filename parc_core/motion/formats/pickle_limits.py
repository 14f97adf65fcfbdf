"""How far a pickle may grow when it is read, and how many steps it may take.

A few bytes can ask for gigabytes: one block of bytes in a thousand arrays, a tensor of stride 0, compressed storages.
"""

from __future__ import annotations

import pickle

MAX_FILE_BYTES = 4 << 30
"""Of a motion file: a day of frames. A sparse file of a terabyte takes no room on a disk, but in memory."""
_GROWTH = 8
"""Arrays of a file may take so many times its size,"""
_FREE_BYTES = 64 << 20
"""and so many bytes in any case."""
_FREE_STEPS = 500_000
"""So many opcodes are run of any file (half a second),"""
_BYTES_PER_STEP = 8
"""and one more for so many bytes of it; arrays and tensors take far fewer."""


class Budget:
    """Bytes that the arrays of one pickle may still take."""

    def __init__(self, size: int) -> None:
        self._left = _GROWTH * size + _FREE_BYTES

    def take(self, count: int) -> None:
        """Raise `pickle.UnpicklingError` where `count` more bytes are too many."""
        self._left -= count
        if self._left < 0:
            raise pickle.UnpicklingError("it grows beyond all measure when read")


def max_steps(size: int) -> int:
    """Opcodes that a pickle of `size` bytes may have."""
    return _FREE_STEPS + size // _BYTES_PER_STEP
