"""Boxes, pits, walls and platforms where a motion does not come near: the motion itself stays as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, Tuple

import numpy as np

from parc_core.terrain.heightfield import Heightfield

CLEARANCE = 0.25
"""m, seen from above, between every shape of the character, on its whole way, and each cell that is changed."""
MARGIN = 1.6
"""m of terrain beyond what the character sweeps over."""
_COVERED = (0.15, 0.75)  # share of the free cells that is built on, at most
_TRIES = 60  # things that are placed at most


def surround(terrain: Heightfield, free: np.ndarray, rng: np.random.Generator) -> Heightfield:
    """The terrain with things on its free cells; all other cells keep their heights, bit for bit.

    Args:
        terrain: below the motion.
        free: (nx, ny) bool.
        rng: draws them.
    """
    rise = np.zeros(terrain.hf.shape)
    taken = ~free
    wanted = rng.uniform(*_COVERED) * free.sum()
    share = rng.dirichlet(np.ones(len(THINGS)))
    for _ in range(_TRIES):
        if (taken & free).sum() >= wanted:
            break
        shape, height = list(THINGS.values())[rng.choice(len(THINGS), p=share)](rng)
        corner = [int(rng.integers(1 - shape[axis], rise.shape[axis])) for axis in (0, 1)]
        place = tuple(slice(max(c, 0), c + size) for c, size in zip(corner, shape))
        rise[place] = np.where(taken[place], rise[place], height)
        taken[place] = True
    heights = terrain.hf.astype(np.float64) + rise
    return replace(terrain, hf=np.where(free, heights, terrain.hf).astype(np.float32), hf_maxmin=None)


Thing = Tuple[Tuple[int, int], float]
"""Cells along x and y, and height above the ground, m."""


def _box(rng: np.random.Generator) -> Thing:
    return (int(rng.integers(1, 5)), int(rng.integers(1, 5))), _round(rng.uniform(0.2, 1.5))


def _pit(rng: np.random.Generator) -> Thing:
    return (int(rng.integers(1, 6)), int(rng.integers(1, 6))), -_round(rng.uniform(0.3, 2.0))


def _wall(rng: np.random.Generator) -> Thing:
    length = int(rng.integers(3, 12))
    shape = (length, 1) if rng.random() < 0.5 else (1, length)
    return shape, _round(rng.uniform(1.0, 3.0))


def _platform(rng: np.random.Generator) -> Thing:
    return (int(rng.integers(4, 11)), int(rng.integers(4, 11))), _round(
        rng.choice((-1, 1)) * rng.uniform(0.1, 0.7)
    )


def _stone(rng: np.random.Generator) -> Thing:
    return (1, 1), _round(rng.uniform(-0.3, 0.5))


def _round(height: float) -> float:
    return round(float(height), 2)


THINGS: Dict[str, Callable[[np.random.Generator], Thing]] = {
    "box": _box,
    "pit": _pit,
    "wall": _wall,
    "platform": _platform,
    "stone": _stone,
}
"""What stands around, by name."""


def even_cells(terrain: Heightfield) -> np.ndarray:
    """(nx, ny) bool: cells as high as all their eight neighbours; what is uneven is to be kept."""
    padded = np.pad(terrain.hf, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    even: np.ndarray = np.ptp(windows, axis=(2, 3)) < 1e-3
    return even
