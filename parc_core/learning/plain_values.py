"""Containers of tensors and numbers in the form that every supported PyTorch reads with `weights_only`.

PyTorch 1.13, the one for Python 3.8, refuses Python's floats there: a checkpoint holds them as float64 tensors, marked.
"""

from __future__ import annotations

from typing import Any, Callable

import torch

MARK = "python float"
"""Key of the one-entry dict that stands for a float."""


def with_marked_floats(state: Any) -> Any:
    """A copy in which `{MARK: 0-d float64 tensor}` stands for each Python float, exact to the last bit."""

    def mark(value: Any) -> Any:
        if isinstance(value, float):
            return {MARK: torch.tensor(value, dtype=torch.float64)}
        return value

    return _mapped(state, mark)


def with_floats(state: Any) -> Any:
    """The inverse; what has no marks comes out as it is.

    Raises:
        ValueError: a mark without a number.
    """

    def unmark(value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {MARK}:
            number = value[MARK]
            if not isinstance(number, torch.Tensor) or number.numel() != 1 or number.is_complex():
                raise ValueError(f"'{MARK}' without a number")
            return float(number)
        return value

    return _mapped(state, unmark)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    changed = change(value)
    if changed is not value:
        return changed
    if isinstance(value, dict):
        return type(value)((key, _mapped(part, change)) for key, part in value.items())
    if type(value) in (list, tuple):
        return type(value)(_mapped(part, change) for part in value)
    return value
