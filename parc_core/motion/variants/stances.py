"""When and where the feet of a motion stand, and which cells of a terrain they need at one height."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence

import numpy as np

from parc_core.motion.synthetic.ik import Leg
from parc_core.motion.variants.sweep import BodyCover, cells_within
from parc_core.terrain.heightfield import Heightfield

BODY = 2
"""Side of a stance in which another body than the feet is on the ground; 0 and 1 are the right and the left foot."""
LOW = 0.05
"""m above the ground below which a foot may stand."""
STILL = 0.4
"""m/s of a foot's lowest point below which it may stand."""
SUPPORT = 0.03
"""m around a standing foot that are as high as what it stands on."""
_BODY_LOW = 0.03  # m above the ground below which other bodies count as on it
_BODY_NEAR = 0.12  # m above the ground below which they need its height to stay
_SETTLE_S = 0.6  # around such frames: both feet stay on that height, too
_GAP = 2  # frames in which a standing foot may look as if it did not
_SHORTEST = 2  # frames of a stance


@dataclass(frozen=True)
class Stance:
    """One foot on the ground, or the rest of the body."""

    side: int
    """0 right, 1 left, `BODY`."""
    first: int
    last: int
    """Its frames, both included."""
    xy: np.ndarray
    """(k, 2) m: places that it touches."""


def find_stances(
    points: np.ndarray, cover: BodyCover, legs: Sequence[Leg], level: float, fps: int
) -> List[Stance]:
    """All stances of a motion on flat ground, feet first, each in order of time.

    A foot stands while its lowest point is lower than 5 cm and slower than 0.4 m/s. While another body is on the
    ground, and 0.6 s before and after it, both feet stand where they are: neither rises nor sinks against it.

    Args:
        points: (n, P, 3) m, the cover's.
        cover, legs: of the character, the right leg first.
        level: m, height of the ground.
        fps: frames per second.
    """
    bottom = points[..., 2] - cover.drop - level
    others = ~np.isin(cover.bodies, [leg.foot for leg in legs])
    lying = (bottom[:, others] < _BODY_LOW).any(axis=1)
    settled = _dilated(lying, int(round(_SETTLE_S * fps)))
    found: List[Stance] = []
    for side, leg in enumerate(legs):
        own = np.flatnonzero(cover.bodies == leg.foot)
        down = _filled(_stands(points[:, own], bottom[:, own], fps)) | settled
        for first, last in _runs(down):
            frames = slice(first, last + 1)
            low = bottom[frames][:, own] < np.where(settled[frames], _BODY_NEAR, LOW)[:, None]
            if last - first + 1 >= _SHORTEST and low.any():
                found.append(Stance(side, first, last, _distinct(points[frames][:, own][low][:, :2])))
    for first, last in _runs(settled):
        frames = slice(first, last + 1)
        near = (bottom[frames] < _BODY_NEAR) & lying[frames, None]
        found.append(Stance(BODY, first, last, _distinct(points[frames][near][:, :2])))
    return found


def _stands(foot: np.ndarray, bottom: np.ndarray, fps: int) -> np.ndarray:
    """(n, k, 3), (n, k) of one foot -> (n,) bool."""
    lowest = bottom.argmin(axis=1)
    rows = np.arange(len(foot))
    velocity = np.gradient(foot[..., :2], axis=0) * fps
    speed = np.linalg.norm(velocity[rows, lowest], axis=-1)
    stands: np.ndarray = (bottom[rows, lowest] < LOW) & (speed < STILL)
    return stands


def _filled(mask: np.ndarray) -> np.ndarray:
    """The mask without gaps of a few frames between two runs."""
    full = mask.copy()
    runs = _runs(mask)
    for (_, end), (begin, _) in zip(runs[:-1], runs[1:]):
        if begin - end - 1 <= _GAP:
            full[end:begin] = True
    return full


def _dilated(mask: np.ndarray, frames: int) -> np.ndarray:
    wide = mask.copy()
    for first, last in _runs(mask):
        wide[max(first - frames, 0) : last + frames + 1] = True
    return wide


def _runs(mask: np.ndarray) -> List[tuple]:
    """First and last frame of each run of True."""
    edges = np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist()))


def _distinct(xy: np.ndarray) -> np.ndarray:
    """Without points of one square centimetre: most of a stance's are the same."""
    return np.unique(np.round(xy, 2), axis=0)


@dataclass(frozen=True)
class Pads:
    """Cells that stances share must be equally high: each group of them is a pad."""

    of_stance: List[int]
    """Pad of each stance."""
    of_cell: np.ndarray
    """(nx, ny) pad of each cell, -1 for none."""
    count: int


def find_pads(stances: Sequence[Stance], terrain: Heightfield) -> Pads:
    """Groups the stances that need a common cell, and the feet with a body that is on the ground meanwhile."""
    parent = list(range(len(stances)))
    owner: List[Optional[int]] = [None] * terrain.hf.size
    cells: List[np.ndarray] = []
    for place, stance in enumerate(stances):
        found = np.unique(cells_within(terrain, stance.xy, np.array(SUPPORT)).cell)
        cells.append(found)
        for cell in found.tolist():
            other = owner[cell]
            owner[cell] = place
            if other is not None:
                _join(parent, place, other)
        if stance.side == BODY:
            for other, foot in enumerate(stances[:place]):
                if foot.first <= stance.last and foot.last >= stance.first:
                    _join(parent, place, other)
    roots = [_root(parent, place) for place in range(len(stances))]
    names = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    of_stance = [names[root] for root in roots]
    of_cell = np.full(terrain.hf.size, -1)
    for found, pad in zip(cells, of_stance):
        of_cell[found] = pad
    return Pads(of_stance, of_cell.reshape(terrain.hf.shape), len(names))


def _root(parent: List[int], place: int) -> int:
    while parent[place] != place:
        place = parent[place]
    return place


def _join(parent: List[int], one: int, other: int) -> None:
    a, b = _root(parent, one), _root(parent, other)
    parent[max(a, b)] = min(a, b)
