"""Importing an engine's packages."""

from __future__ import annotations

import importlib
import os
from typing import Any

_GL = "MUJOCO_GL"


def import_package(name: str) -> Any:
    """The module, also where MuJoCo cannot load the OpenGL library that `MUJOCO_GL` names.

    MuJoCo loads it when it is imported. Physics needs none: without it, only MuJoCo's renderer is missing in this
    process. Videos are drawn in processes of their own, which see the variable as it is.

    Raises:
        ImportError: it is not installed, or cannot be imported for another reason (which can be any exception).
    """
    chosen = os.environ.get(_GL)
    try:
        return importlib.import_module(name)
    except Exception as error:  # the loaders raise AttributeError, ImportError, OSError, RuntimeError
        if not chosen or name.partition(".")[0] not in ("mujoco", "mujoco_warp"):
            raise
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("mujoco"):
            raise
        os.environ[_GL] = "disable"
        try:
            return importlib.import_module(name)
        finally:
            os.environ[_GL] = chosen
