"""How feet that stand at new heights get from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

from parc_core.motion.synthetic.curves import smoothstep
from parc_core.motion.variants.stances import Pads, Stance
from parc_core.motion.variants.sweep import cells_within
from parc_core.terrain.heightfield import Heightfield

FOOT_CLEARANCE = 0.03
"""m that a swinging foot stays above a pad, or as little as it was above the flat ground."""
_TOUCH = 0.01  # m that it may come nearer
_UP = (0.2, 0.3, 0.45, 0.6, 0.8, 1.0)  # share of the swing after which a foot is at its highest
_DOWN = (0.0, 0.1, 0.25, 0.4, 0.55, 0.7)  # share after which it comes down
_LEAST_HOLD = 0.05  # as much of the highest shift must act on a frame to count


@dataclass(frozen=True)
class Swing:
    """Frames of one foot between two stances; an end is missing where the motion begins or ends in the air."""

    side: int
    before: Optional[int]
    """The stance (its place in the list) that it leaves."""
    after: Optional[int]
    """The stance that it comes to."""
    frames: np.ndarray
    """(k,)"""
    phase: np.ndarray
    """(k,) 0 at the last frame of the stance before, 1 at the first of the one after."""


def find_swings(stances: Sequence[Stance], side: int, count: int) -> List[Swing]:
    """Swings of a foot in a motion of `count` frames; none where it never stands."""
    own = [place for place, stance in enumerate(stances) if stance.side == side]
    swings: List[Swing] = []
    for before, after in zip([None, *own], [*own, None]):
        first = 0 if before is None else stances[before].last + 1
        end = count if after is None else stances[after].first
        if first < end and (before is not None or after is not None):
            frames = np.arange(first, end)
            swings.append(Swing(side, before, after, frames, (frames - first + 1) / (end - first + 1)))
    return swings


class Obstacles:
    """Pads below the swinging feet: what each demands of a foot in each frame."""

    def __init__(
        self, points: np.ndarray, reach: np.ndarray, pads: Pads, terrain: Heightfield, level: float
    ) -> None:
        """`points` (n, P, 3) m of one foot with their reach (P,) m, over flat ground at `level` m."""
        pairs = cells_within(terrain, points[..., :2], reach)
        pad = pads.of_cell.ravel()[pairs.cell]
        on_pad = pad >= 0
        frame = pairs.point[on_pad] // points.shape[1]
        spare = np.maximum(points[..., 2].ravel()[pairs.point[on_pad]] - level - FOOT_CLEARANCE, 0.0)
        # Of a foot's points over one pad the one with the least to spare decides.
        self._spare = np.full((len(points), pads.count), np.inf)
        np.minimum.at(self._spare, (frame, pad[on_pad]), spare)

    def needed(self, heights: np.ndarray) -> np.ndarray:
        """(n, pads) m by which the foot must be shifted over each pad, -inf where it is not over it."""
        return heights - self._spare


@dataclass(frozen=True)
class FootShift:
    """How much higher a foot is in each frame."""

    shift: np.ndarray
    """(n,) m."""
    ground: np.ndarray
    """(n,) m: the shift without what lifts the foot over pads."""
    hits: List[Tuple[int, ...]]
    """Groups of pads that a swing cannot get along with."""


def shift_foot(
    stances: Sequence[Stance],
    swings: Sequence[Swing],
    of_stance: Sequence[int],
    heights: np.ndarray,
    obstacles: Obstacles,
    count: int,
) -> FootShift:
    """Stances exactly at their pads' heights, swings over the pads between them.

    Args:
        stances: of both feet.
        swings: of this foot.
        of_stance: pad of each stance.
        heights: (pads,) m over the flat ground.
        obstacles: of this foot.
        count: n.
    """
    shift, ground = np.zeros(count), np.zeros(count)
    needed = obstacles.needed(heights)
    hits: List[Tuple[int, ...]] = []
    side = swings[0].side if swings else None
    for place, stance in enumerate(stances):
        if side is None or stance.side == side:
            shift[stance.first : stance.last + 1] = ground[stance.first : stance.last + 1] = heights[
                of_stance[place]
            ]
    for swing in swings:
        ends = [None if end is None else heights[of_stance[end]] for end in (swing.before, swing.after)]
        start, target = (
            (ends[0] if ends[0] is not None else ends[1]),
            (ends[1] if ends[1] is not None else ends[0]),
        )
        assert start is not None and target is not None
        over = needed[swing.frames]
        best, lacking = _lifted(swing, start, target, over.max(axis=1, initial=-np.inf))
        shift[swing.frames] = best
        ground[swing.frames] = start + (target - start) * smoothstep(swing.phase)
        if lacking > _TOUCH:
            struck = np.flatnonzero((over > best[:, None] + _TOUCH).any(axis=0))
            between = [of_stance[end] for end in (swing.before, swing.after) if end is not None]
            hits.append(tuple(sorted({*struck.tolist(), *between})))
    return FootShift(shift, ground, hits)


def _lifted(swing: Swing, start: float, target: float, needed: np.ndarray) -> Tuple[np.ndarray, float]:
    """The gentlest way from `start` to `target` over what is needed (k,): the shift, and what it lacks at worst.

    Up by a smooth step to a highest shift, hold, down by another; when each begins and ends is tried out.
    """
    schedules = [(up, down) for up in _UP for down in _DOWN if up - down < 0.65]
    up, down = (np.array(column)[:, None] for column in zip(*schedules))
    rising = np.ones((len(up), len(swing.phase)))
    if swing.before is not None:
        rising = smoothstep(swing.phase / up)
    falling = (
        np.zeros_like(rising) if swing.after is None else smoothstep((swing.phase - down) / (1.0 - down))
    )
    hold = rising - falling
    rest = start * (1.0 - rising) + target * falling
    with np.errstate(invalid="ignore"):
        asked = np.where(hold > _LEAST_HOLD, (needed - rest) / np.maximum(hold, _LEAST_HOLD), -np.inf)
    top = np.maximum(asked.max(axis=1), max(start, target))[:, None]
    shift = rest + top * hold
    lacking = np.maximum((needed - shift).max(axis=1), 0.0)
    speed = np.abs(top - start)[:, 0] / up[:, 0] ** 2 + np.abs(top - target)[:, 0] / (1.0 - down[:, 0]) ** 2
    best = int(np.lexsort((speed, np.maximum(lacking - _TOUCH, 0.0).round(4)))[0])
    return shift[best], float(lacking[best])
