"""What a check of the doctor gives, and how it looks for a package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from parc_core.engines.packages import import_package


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What: "PyTorch", "engine mujoco", …"""
    ok: bool
    """It is there and works."""
    detail: str
    """Version, place, size, or what is wrong."""
    fix: str = ""
    """What to do where it is not ok; empty otherwise."""
    needed: bool = True
    """False for what only some uses need (a GPU, Isaac Gym, …)."""


def import_or_none(name: str) -> Any:
    """The package or module; None where it is not installed."""
    try:
        return import_package(name)
    except ImportError:
        return None
