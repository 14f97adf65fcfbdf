"""How far a pickle may grow when it is read.

A few bytes can ask for gigabytes: one block of bytes in a thousand arrays, a tensor of stride 0, compressed storages,
a memo of billions of places.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import warnings

_GROWTH = 8
"""Arrays of a file may take so many times its size,"""
_FREE_BYTES = 64 << 20
"""and so many bytes in any case."""

_LONG_PLACE = re.compile(rb"r(?=(....))", re.DOTALL)
_TEXT_PLACE = re.compile(rb"p[\s0-9+_]{5,}")


class Budget:
    """Bytes that the arrays of one pickle may still take."""

    def __init__(self, size: int) -> None:
        self._left = _GROWTH * size + _FREE_BYTES

    def take(self, count: int) -> None:
        """Raise `pickle.UnpicklingError` where `count` more bytes are too many."""
        self._left -= count
        if self._left < 0:
            raise pickle.UnpicklingError("it grows beyond all measure when read")


def check_memo(data: bytes) -> None:
    """Raise `pickle.UnpicklingError` for a memo place beyond the length of the pickle.

    Python's unpickler would reserve memory for all places before it.
    """
    long_places = (int.from_bytes(found.group(1), "little") for found in _LONG_PLACE.finditer(data))
    if not (_TEXT_PLACE.search(data) or any(place > len(data) for place in long_places)):
        return  # most files: no need to go through all opcodes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd escapes in broken text
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(data):
                raise pickle.UnpicklingError(f"memo place {argument}")
