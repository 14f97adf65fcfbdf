"""One motion's terrain: a grid of flat-topped cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np


@dataclass(frozen=True)
class Heightfield:
    """Heights of flat cells, as stored in a motion-terrain file (spec section 2). Never mutated."""

    hf: np.ndarray
    """(nx, ny) float32 m: height of the flat top of cell (i, j); i runs along x, j along y."""
    min_point: np.ndarray
    """(2,) float32 m: centre of cell (0, 0)."""
    dx: float
    """Cell size, m (0.4 in all published data)."""
    hf_maxmin: Optional[np.ndarray] = None
    """(nx, ny, 2) float32 m: upper and lower bounds of the height (stage 1's), passed through."""
