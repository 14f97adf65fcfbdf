"""Numbers that environment variables hold, checked where they enter."""

from __future__ import annotations

import os
from typing import Callable, Union

from parc_core.errors import ConfigError

Number = Union[int, float]


def real(name: str, default: float, least: float, most: float, what: str) -> float:
    """The number in `$name`; the default where it is unset or empty.

    Args:
        name: of the variable.
        default: the value without it.
        least, most: bounds, inclusive.
        what: the quantity with its unit, for the message.

    Raises:
        ConfigError: no finite number, or out of bounds.
    """
    return _read(name, default, least, most, what, float)


def whole(name: str, default: int, least: int, most: int, what: str) -> int:
    """As `real`, for whole numbers."""
    return int(_read(name, default, least, most, what, int))


def _read(
    name: str, default: Number, least: Number, most: Number, what: str, convert: Callable[[str], Number]
) -> Number:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        number = convert(text)
    except ValueError:  # also of int() for thousands of digits
        number = float("nan")
    if not least <= number <= most:  # nor NaN
        shown = ascii(text[:40])
        raise ConfigError(f"{name} is {shown}: set it to {what}, {least:,} to {most:,}")
    return number
