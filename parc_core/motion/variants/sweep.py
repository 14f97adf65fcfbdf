"""The space that a character sweeps through, and the cells of a terrain near it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np
import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.model import Character, Geom
from parc_core.terrain.heightfield import Heightfield

_BALL_GAP = 0.05  # m between the balls along a capsule
_BOX_GAP = 0.05  # m between the points of a box
_STRIDE = 0.1  # m that a point may move between two poses that are looked at
_MAX_STEPS = 8  # of them between two frames


class BodyCover:
    """Balls and points that contain every shape of a character: P of them."""

    def __init__(self, character: Character) -> None:
        parts = [_cover(geom) for geom in character.geoms]
        bodies = [np.full(len(points), geom.body) for geom, (points, _, _) in zip(character.geoms, parts)]
        self.bodies = np.concatenate(bodies)
        """(P,) body of each."""
        self.reach = np.concatenate([np.full(len(points), reach) for points, reach, _ in parts])
        """(P,) m sideways that it stands for."""
        self.drop = np.concatenate([np.full(len(points), drop) for points, _, drop in parts])
        """(P,) m downwards that it stands for."""
        self._points = torch.from_numpy(np.concatenate([points for points, _, _ in parts]).astype(np.float32))
        self._index = torch.from_numpy(self.bodies)

    def posed(self, body_pos: Tensor, body_rot: Tensor) -> np.ndarray:
        """Where they are: bodies at (n, J, 3) m, turned by (n, J, 4) -> (n, P, 3) float64 m."""
        rot, pos = body_rot.index_select(1, self._index), body_pos.index_select(1, self._index)
        posed: np.ndarray = (rotations.quat_rotate(rot, self._points) + pos).double().numpy()
        return posed


def _cover(geom: Geom) -> Tuple[np.ndarray, float, float]:
    """Points (k, 3) m in the body's frame, how far each reaches sideways and how far down."""
    if geom.type == "box":
        counts = [max(2, int(np.ceil(2 * half / _BOX_GAP)) + 1) for half in geom.size]
        axes = [np.linspace(-half, half, count) for half, count in zip(geom.size, counts)]
        local = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        # Corners and edges are among the points: none of the box is lower than the lowest of them.
        reach, drop = 0.5 * float(np.linalg.norm([axis[1] - axis[0] for axis in axes])), 0.0
    elif geom.type in ("capsule", "cylinder"):
        count = max(2, int(np.ceil(2 * geom.size[1] / _BALL_GAP)) + 1)
        local = np.zeros((count, 3))
        local[:, 2] = np.linspace(-geom.size[1], geom.size[1], count)
        reach = drop = float(np.hypot(geom.size[0], 0.5 * (local[1, 2] - local[0, 2])))
    else:
        local, reach, drop = np.zeros((1, 3)), max(geom.size), max(geom.size)
    turned = rotations.quat_rotate(
        torch.tensor(geom.quat).expand(len(local), 4), torch.from_numpy(local).float()
    )
    return turned.numpy() + np.asarray(geom.pos), reach, drop


def strides(points: np.ndarray) -> int:
    """Poses to look at per frame, so that no point moves more than 0.1 m from one to the next. (n, P, 3)."""
    if len(points) < 2:
        return 1
    farthest = float(np.linalg.norm(np.diff(points, axis=0), axis=-1).max())
    return int(np.clip(np.ceil(farthest / _STRIDE), 1, _MAX_STEPS))


def between_frames(points: np.ndarray, steps: int) -> np.ndarray:
    """Points with `steps - 1` poses on the straight line between two frames. (n, P, d) -> (m, P, d)."""
    if steps == 1 or len(points) < 2:
        return points
    share = np.arange(steps)[:, None, None] / steps
    mixed = points[:-1, None] + share * (points[1:] - points[:-1])[:, None]
    return np.concatenate((mixed.reshape(-1, *points.shape[1:]), points[-1:]))


@dataclass(frozen=True)
class Pairs:
    """Which point is near which cell."""

    point: np.ndarray
    """(k,) place in the flattened points."""
    cell: np.ndarray
    """(k,) place in the flattened heights."""


def cells_within(terrain: Heightfield, xy: np.ndarray, distance: np.ndarray) -> Pairs:
    """Cells whose square comes nearer to a point than its distance; the point's own cell always does.

    Args:
        terrain: its cells; points beyond its border are near those at the border only.
        xy: (..., 2) m.
        distance: m, of the shape of the points or of their last dimension.
    """
    dx, window_m = float(terrain.dx), float(np.max(distance, initial=0.0))
    limit = np.broadcast_to(distance, xy.shape[:-1]).ravel() ** 2
    place = (xy.reshape(-1, 2) - terrain.min_point.astype(np.float64)) / dx
    own = np.round(place).astype(np.int64)
    within = [axis - center for axis, center in zip(place.T, own.T)]  # cells from the own cell's centre
    window = int(np.ceil(window_m / dx))
    points: List[np.ndarray] = []
    cells: List[np.ndarray] = []
    for i in range(-window, window + 1):
        for j in range(-window, window + 1):
            gaps = [np.maximum(np.abs(axis - k) - 0.5, 0.0) * dx for axis, k in zip(within, (i, j))]
            near = (
                np.flatnonzero(gaps[0] ** 2 + gaps[1] ** 2 < limit)
                if (i, j) != (0, 0)
                else np.arange(len(own))
            )
            x, y = own[near, 0] + i, own[near, 1] + j
            inside = (x >= 0) & (x < terrain.hf.shape[0]) & (y >= 0) & (y < terrain.hf.shape[1])
            points.append(near[inside])
            cells.append(x[inside] * terrain.hf.shape[1] + y[inside])
    return Pairs(np.concatenate(points), np.concatenate(cells))


def near_cells(terrain: Heightfield, xy: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(nx, ny) bool: cells with a point nearer than its distance."""
    mask = np.zeros(terrain.hf.size, dtype=bool)
    mask[cells_within(terrain, xy, distance).cell] = True
    return mask.reshape(terrain.hf.shape)


def widened(terrain: Heightfield, low: np.ndarray, high: np.ndarray, max_cells: int) -> Heightfield:
    """The terrain with as many more cells at its border's heights as it takes to hold the points low and high.

    Args:
        terrain: stays as it is inside.
        low, high: (2,) m.
        max_cells: along one axis; a wider terrain is not widened.
    """
    dx, shape = float(terrain.dx), np.array(terrain.hf.shape)
    first = np.floor((low - terrain.min_point) / dx + 0.5).astype(np.int64)
    last = np.floor((high - terrain.min_point) / dx + 0.5).astype(np.int64)
    before, behind = np.maximum(-first, 0), np.maximum(last - shape + 1, 0)
    room = np.maximum(max_cells - shape, 0)
    before = np.minimum(before, room)
    behind = np.minimum(behind, room - before)
    if not before.any() and not behind.any():
        return terrain
    return Heightfield(
        hf=np.pad(terrain.hf, tuple(zip(before, behind)), mode="edge"),
        min_point=(terrain.min_point - before * dx).astype(np.float32),
        dx=terrain.dx,
    )
