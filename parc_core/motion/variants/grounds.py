"""Kinds of ground that a motion may be put on: heights of cells, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Tuple

import numpy as np


@dataclass(frozen=True)
class Path:
    """Where a motion goes, seen from above."""

    xy: np.ndarray
    """(n, 2) m, of the root."""
    speed: float
    """m/s, mean."""

    def main_axis(self, rng: np.random.Generator) -> Tuple[int, float]:
        """Axis (0 or 1) along which the motion gets on, and in which direction; any where it stays in place."""
        way = self.xy[-1] - self.xy[0]
        if np.abs(way).max() < 0.5:
            return int(rng.integers(2)), float(rng.choice((-1.0, 1.0)))
        axis = int(np.argmax(np.abs(way)))
        return axis, float(np.sign(way[axis]))


@dataclass(frozen=True)
class Ground:
    """Wanted heights over the ground that the motion was on."""

    rise: np.ndarray
    """(nx, ny) m."""
    sink: float = 0.0
    """m by which cells on which nothing stands are lower than that."""


Centers = np.ndarray  # (nx, ny, 2) m
Draw = Callable[[np.random.Generator, Centers, Path], Ground]


def _stairs(rng: np.random.Generator, centers: Centers, path: Path) -> Ground:
    """Flights of stairs across the way, up or down, or up and down again."""
    axis, sense = path.main_axis(rng)
    along = np.round((centers[..., axis] - path.xy[0, axis]) * sense / _cell(centers)).astype(int)
    tread, count = int(rng.integers(1, 4)), int(rng.integers(2, 9))
    start = int(rng.integers(-1, 5))
    level = np.clip((along - start) // tread, 0, count)
    if rng.random() < 0.4:
        level = np.minimum(level, np.maximum(2 * (count // 2 + 1) - level, 0))
    return Ground(level * rng.uniform(0.08, 0.22) * float(rng.choice((-1, 1))))


def _slope(rng: np.random.Generator, centers: Centers, path: Path) -> Ground:
    """Small steps from cell to cell, as of a ramp or a hill, in any direction."""
    angle = rng.uniform(0, 2 * np.pi)
    along = (centers - path.xy.mean(axis=0)) @ np.array([np.cos(angle), np.sin(angle)])
    if rng.random() < 0.5:
        along = np.abs(along)
    return Ground(np.round(along / _cell(centers)) * rng.uniform(0.03, 0.09) * float(rng.choice((-1, 1))))


def _curb(rng: np.random.Generator, centers: Centers, path: Path) -> Ground:
    """One step up or down, somewhere on the way; sometimes a sidewalk: up and down again."""
    axis, sense = path.main_axis(rng)
    along = (centers[..., axis] - path.xy[int(rng.integers(len(path.xy))), axis]) * sense
    up = along > 0
    if rng.random() < 0.4:
        up &= along < rng.uniform(0.8, 2.0)
    return Ground(up * rng.uniform(0.1, 0.35) * float(rng.choice((-1, 1))))


def _stones(rng: np.random.Generator, centers: Centers, path: Path) -> Ground:
    """Every cell at another height; half of the time what nobody steps on lies deep below."""
    rise = rng.uniform(-1, 1, centers.shape[:2]) * rng.uniform(0.06, 0.2)
    return Ground(rise, float(rng.uniform(0.2, 0.8)) if rng.random() < 0.5 else 0.0)


def _slabs(rng: np.random.Generator, centers: Centers, path: Path) -> Ground:
    """Rectangles of several cells, some over others."""
    rise = np.zeros(centers.shape[:2])
    for _ in range(rise.size // 8 + 1):
        corner = [int(rng.integers(-2, rise.shape[axis])) for axis in (0, 1)]
        place = tuple(slice(max(c, 0), c + int(rng.integers(2, 5))) for c in corner)
        rise[place] = rng.uniform(-0.25, 0.3)
    return Ground(rise)


def _cell(centers: Centers) -> float:
    return float(centers[1, 0, 0] - centers[0, 0, 0])


GROUNDS: Dict[str, Draw] = {
    "stairs": _stairs,
    "slope": _slope,
    "curb": _curb,
    "stones": _stones,
    "slabs": _slabs,
}
"""By name."""
