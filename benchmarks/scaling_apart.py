"""The trainer of a process whose gradients stay its own: `benchmarks scaling` times what their average costs.

All else that the processes tell each other is left as it is. What it learns is of no use.
"""

from __future__ import annotations

import sys
from typing import Callable

from torch import Tensor

from parc_core.system.world import World
from parc_core.train import main


def _own(self: World, tensor: Tensor) -> Callable[[], None]:
    return lambda: None


if __name__ == "__main__":
    World.begin_mean_ = _own  # type: ignore[method-assign]
    World.agrees = lambda self, numbers: True  # type: ignore[method-assign]
    sys.exit(main())
