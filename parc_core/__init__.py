"""Everything of parc-tracker that would exist without Prefect.

What notebooks and scripts need is here by name (`load_dataset`, `make_env`, …), imported when it is used: see
`parc_core.api`.
"""

from __future__ import annotations

__version__ = "0.1.0"

import importlib
import os
from typing import Any, List

# Idle torch threads would spin and take the cores from MuJoCo's threads (a control step takes up to four times
# as long where another process wants a core too). Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_API = (
    "load_dataset",
    "load_policy",
    "make_env",
    "make_gym_env",
    "make_gym_vector_env",
    "play",
    "show",
)


def __getattr__(name: str) -> Any:
    # By name: torch takes seconds, and most of what imports this package needs none of it.
    if name in _API:
        return getattr(importlib.import_module(".api", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> List[str]:
    return sorted([*globals(), *_API])
