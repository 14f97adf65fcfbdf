"""What YAML gives as the Python types that the config dataclasses name."""

from __future__ import annotations

from typing import Any, Callable, Dict, Literal, Tuple, Union, get_args, get_origin


def describe(hint: Any) -> str:
    """A type hint in a user's words."""
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", Any: "anything"}
    if hint in words:
        return words[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(str(a) for a in args)
    if origin is Union:
        return " or ".join("null" if a is type(None) else describe(a) for a in args)
    if origin is list:
        return f"a list, each {describe(args[0])}"
    if origin is dict:
        return f"a mapping, each value {describe(args[1])}"
    return "a mapping of keys to values"


_LARGEST_FLOAT = 3.4e38
"""Arrays are float32: a larger number would become infinite."""


class Mismatch(Exception):
    """The value does not have the wanted type (before it is known whether another type of a Union fits)."""


def convert(hint: Any, value: Any) -> Any:
    """The value as the hinted type.

    Raises:
        Mismatch: it cannot be read as that.
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Union:
        return _convert_union(args, value)
    if origin is Literal:
        if value in args and not isinstance(value, bool):
            return value
    elif origin is list and isinstance(value, (list, tuple)):
        return [convert(args[0], item) for item in value]
    elif origin is dict and isinstance(value, dict):
        return {convert(args[0], k): convert(args[1], v) for k, v in value.items()}
    elif hint in _SCALARS:
        return _SCALARS[hint](value)
    raise Mismatch


def _convert_union(options: Tuple[Any, ...], value: Any) -> Any:
    if value is None and type(None) in options:
        return None
    for option in options:
        if option is type(None):
            continue
        try:
            return convert(option, value)
        except Mismatch:
            continue
    raise Mismatch


def _to_float(value: Any) -> float:
    # YAML 1.1 reads 5e-5 (no dot) as a text, so texts that are numbers count as numbers.
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Mismatch
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise Mismatch from None
    if not abs(number) <= _LARGEST_FLOAT:  # nor NaN
        raise Mismatch
    return number


def _to_int(value: Any) -> int:
    number = value
    if isinstance(value, str):
        try:
            number = int(value)  # exact where a float is not; 3e8 goes the way below
        except ValueError:
            number = value
    if isinstance(number, bool) or not isinstance(number, int):
        number = _to_float(value)
        if number != int(number):
            raise Mismatch
    if not -(2**63) <= number < 2**63:  # what arrays and generators take
        raise Mismatch
    return int(number)


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise Mismatch


def _to_str(value: Any) -> str:
    if not isinstance(value, str):
        raise Mismatch
    return value


_SCALARS: Dict[Any, Callable[[Any], Any]] = {float: _to_float, int: _to_int, bool: _to_bool, str: _to_str}
