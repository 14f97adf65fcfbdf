"""Feet that stand where they stand: when each foot touches, and where it then is.

The sole's rear and front edges are what touches. While a foot touches, it keeps its place and heading; it rolls about
the front edge when the heel is up and about the rear edge when the toes are. What that moves it by fades over swings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Optional, Tuple

import numpy as np

from parc_core.motion.retarget.geometry import conj, from_rotation_vector, rotation_vector
from parc_core.motion.skeleton import multiply, rotate
from parc_core.motion.synthetic.curves import smoothstep
from parc_core.motion.synthetic.ik import Leg
from parc_core.terrain.heightfield import Heightfield, grid_index

GroundHeight = Callable[[np.ndarray], np.ndarray]
"""Height of the ground, (..., 2) m -> (...) m."""

_GAP, _SHORTEST = 1, 2  # frames: shorter pauses in a contact are none, shorter contacts neither
_PLACE_SLACK, _HEADING_SLACK = (
    0.06,
    0.25,
)  # m and rad that a foot may really turn and slide by while it touches
_LEVEL = 0.2  # rad: pitch up to which a touching foot is laid flat, the more the smaller it is
WALL = 0.2  # m: a point so far below a cell's top is beside its wall, not in its ground
_FADE = 0.4  # s over which a correction fades, at most a swing


def ground_of(terrain: Optional[Heightfield]) -> GroundHeight:
    """Heights of a terrain; level at 0 where there is none."""
    if terrain is None:
        return lambda xy: np.zeros(xy.shape[:-1])
    ground = terrain

    def height(xy: np.ndarray) -> np.ndarray:
        cell = grid_index(ground, xy)
        return ground.hf[cell[..., 0], cell[..., 1]].astype(np.float64)

    return height


@dataclass(frozen=True)
class Edges:
    """Middle of a sole's rear and front edge, (n, 3) m, and the foot's heading and pitch (toe down), (n,) rad."""

    heel: np.ndarray
    toe: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray


def edges(leg: Leg, ankle: np.ndarray, rot: np.ndarray) -> Edges:
    """Of a foot whose ankle is at (n, 3) m, turned by (n, 4)."""
    heel = ankle + rotate(rot, np.array([-leg.heel, 0.0, -leg.sole]))
    toe = ankle + rotate(rot, np.array([leg.toe, 0.0, -leg.sole]))
    left, ahead = rotate(rot, np.array([0.0, 1.0, 0.0])), rotate(rot, np.array([1.0, 0.0, 0.0]))
    yaw = np.arctan2(-left[:, 0], left[:, 1])
    level = ahead[:, 0] * np.cos(yaw) + ahead[:, 1] * np.sin(yaw)
    return Edges(heel, toe, np.unwrap(yaw), np.arctan2(-ahead[:, 2], level))


def touching(points: np.ndarray, ground: GroundHeight, fps: float, height: float, speed: float) -> np.ndarray:
    """(n, ...) bool: whether points (n, ..., 3) m are near the ground and slow; single frames are smoothed out."""
    moves = np.linalg.norm(np.gradient(points, axis=0), axis=-1) * fps
    above = points[..., 2] - ground(points[..., :2])
    return steady((above > -WALL) & (above < height) & (moves < speed))


def steady(mask: np.ndarray) -> np.ndarray:
    """Closes gaps of a frame, and drops what lasts a single one. (n, ...) bool."""
    mask = mask.copy()
    inner = mask[:-2] & mask[2:]
    mask[1:-1] |= inner
    before, after = np.zeros_like(mask), np.zeros_like(mask)
    before[1:], after[:-1] = mask[:-1], mask[1:]
    return mask & (before | after)


def intervals(mask: np.ndarray) -> List[Tuple[int, int]]:
    """Runs of True as (first, one past the last)."""
    padded = np.concatenate([[False], mask, [False]]).astype(np.int8)
    change = np.diff(padded)
    return list(zip(np.flatnonzero(change == 1).tolist(), np.flatnonzero(change == -1).tolist()))


def planted(
    leg: Leg, ankle: np.ndarray, rot: np.ndarray, contact: np.ndarray, ground: GroundHeight, fps: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Where the foot is to be: ankle (n, 3) m and rotation (n, 4).

    Args:
        leg: sizes.
        ankle: (n, 3) m where the source's motion puts it.
        rot: (n, 4) as the source's motion turns it.
        contact: (n,) bool.
        ground: the terrain's heights.
        fps: frames per second.
    """
    shown = edges(leg, ankle, rot)
    wanted_ankle, wanted_rot = ankle.copy(), rot.copy()
    stances = intervals(contact)
    for begin, end in stances:
        part = slice(begin, end)
        wanted_ankle[part], wanted_rot[part] = _stance(leg, shown, part, ground)
    moved = faded(wanted_ankle - ankle, stances, fps)
    turned = faded(rotation_vector(multiply(wanted_rot, conj(rot))), stances, fps)
    new_rot = multiply(from_rotation_vector(turned), rot)
    new_ankle = ankle + moved
    return _lifted(leg, new_ankle, new_rot, ground), new_rot


def _stance(leg: Leg, shown: Edges, part: slice, ground: GroundHeight) -> Tuple[np.ndarray, np.ndarray]:
    """Ankle and rotation while the foot touches."""
    yaw = _held(shown.yaw[part], _HEADING_SLACK)
    share = np.abs(shown.pitch[part]) / _LEVEL
    pitch = shown.pitch[part] * smoothstep(share)
    heading = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    on_toe = shown.pitch[part] >= 0.0
    toe = np.where(
        on_toe[:, None], shown.toe[part, :2], shown.heel[part, :2] + (leg.toe + leg.heel) * heading
    )
    toe = _held(toe, _PLACE_SLACK)
    pivot = np.where(on_toe[:, None], toe, toe - (leg.toe + leg.heel) * heading)
    reach = np.where(on_toe, -leg.toe, leg.heel)
    ahead = reach * np.cos(pitch) + leg.sole * np.sin(pitch)
    up = -reach * np.sin(pitch) + leg.sole * np.cos(pitch)
    level = _level(shown, part, ground)
    ankle = np.concatenate([pivot + ahead[:, None] * heading, (level + up)[:, None]], axis=-1)
    zero = np.zeros_like(yaw)
    turn = from_rotation_vector(np.stack([zero, zero, yaw], axis=-1))
    return ankle, multiply(turn, from_rotation_vector(np.stack([zero, pitch, zero], axis=-1)))


def _level(shown: Edges, part: slice, ground: GroundHeight) -> float:
    """Height that a touching foot stands on, one for its whole stance: at the edge of a step cells may change.

    A foot may reach over an edge: what the nearer end of its sole is near counts.
    """
    ends = np.stack([shown.heel[part], shown.toe[part]], axis=1)
    below = ground(ends[..., :2])
    nearer = np.argmin(np.abs(ends[..., 2] - below), axis=1)
    return float(np.median(below[np.arange(len(below)), nearer]))


def _held(values: np.ndarray, slack: float) -> np.ndarray:
    """The middle of a stance, and of each frame's distance from it what is beyond `slack`. (n,) or (n, 2)."""
    away = values - np.median(values, axis=0)
    size = np.abs(away) if away.ndim == 1 else np.linalg.norm(away, axis=-1, keepdims=True)
    return values - away * np.minimum(slack / np.maximum(size, 1e-9), 1.0)


def faded(values: np.ndarray, stances: List[Tuple[int, int]], fps: float) -> np.ndarray:
    """Corrections (n, 3) given in stances, continued into the swings between them, where they fade."""
    n, fade = len(values), max(int(_FADE * fps), 1)
    out = np.zeros_like(values)
    bounds = [(-1, 0), *stances, (n, n + 1)]
    for (_, end), (begin, _) in zip(bounds[:-1], bounds[1:]):
        if begin <= end:
            continue
        frame = np.arange(end, begin)
        length = min(fade, begin - end + 1)
        if end > 0:
            out[end:begin] += (1.0 - smoothstep((frame - end + 1) / length))[:, None] * values[end - 1]
        if begin < n:
            out[end:begin] += (1.0 - smoothstep((begin - frame) / length))[:, None] * values[begin]
    for begin, end in stances:
        out[begin:end] = values[begin:end]
    return out


def _lifted(leg: Leg, ankle: np.ndarray, rot: np.ndarray, ground: GroundHeight) -> np.ndarray:
    """Ankles raised where a corner of the sole would be in the ground."""
    corners = np.array(
        [[x, y, -leg.sole] for x in (-leg.heel, leg.toe) for y in (-leg.half_width, leg.half_width)]
    )
    points = ankle[:, None] + rotate(rot[:, None], corners)
    top = ground(points[..., :2])
    depth = np.maximum(top - points[..., 2], 0.0)
    # A corner in the wall of a higher cell is not lifted onto its top.
    wall = (top > ground(ankle[:, :2])[:, None] + 0.5 * WALL) * np.clip(2.0 * depth / WALL - 1.0, 0.0, 1.0)
    return ankle + (depth * (1.0 - wall)).max(axis=1)[:, None] * np.array([0.0, 0.0, 1.0])
