"""Another ground under the feet of a motion on flat ground: feet, pelvis and legs follow it.

The footholds stay where they are, seen from above; cells that one of them needs are raised or lowered together. Feet
that stand are shifted by exactly that, feet that swing go over what is in their way, the pelvis takes a smooth path
between them that both legs can reach, and the legs are solved anew. Trunk, arms and the feet's own orientation stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Sequence, Tuple

import numpy as np
import torch

from parc_core import rotations
from parc_core.motion.clip import MotionClip
from parc_core.motion.synthetic.curves import smooth_below
from parc_core.motion.synthetic.ik import solve_leg
from parc_core.motion.variants.clearance import with_contacts
from parc_core.motion.variants.grounds import GROUNDS, Ground, Path
from parc_core.motion.variants.implausible import ImplausibleError
from parc_core.motion.variants.source import Body, Source, hips, up
from parc_core.motion.variants.stances import BODY, Pads, find_pads
from parc_core.motion.variants.surroundings import MARGIN
from parc_core.motion.variants.sweep import between_frames, cells_within
from parc_core.motion.variants.swings import FootShift, Obstacles, find_swings, shift_foot
from parc_core.terrain.heightfield import Heightfield

CELL_CLEARANCE = 0.02
"""m that bodies keep from cells on which nothing stands, or as little as they kept from the flat ground."""
LEAST_RELIEF = 0.04
"""m between the highest and the lowest foothold, at least."""
_PHASES = 12  # places of the cells' grid that are tried for as many separate footholds as possible
_ROUNDS = 6  # of levelling pads that a swing cannot get along with
_REACH = 0.988  # share of a straight leg that is used at most, unless the motion does more
_SMOOTHING_S = 0.27  # to either side, of the pelvis' height
_FADE_SPEED = 3.5  # m/s at which the ground's heights are halved: fast feet have little time
_MARGIN_CELLS = int(round(MARGIN / 0.4))


@dataclass(frozen=True)
class Footing:
    """A motion on its new ground."""

    clip: MotionClip
    terrain: Heightfield
    ground: str
    """Name of its kind of ground."""
    used: np.ndarray
    """(nx, ny) bool: cells on which something stands."""
    foot_target: Tuple[np.ndarray, np.ndarray]
    """(n, 3) m: where the ankles are to be."""


class Refooter:
    """Puts one motion on other grounds."""

    def __init__(self, body: Body, source: Source) -> None:
        """Raises ImplausibleError where the motion is not on flat ground, or a foot never stands."""
        self._body, self._source = body, source
        self._level = source.level(body)
        self._stances = source.stances(body, self._level)
        self._count = source.clip.num_frames
        self._swings = [find_swings(self._stances, side, self._count) for side in (0, 1)]
        xy = source.clip.root_pos[:, :2].astype(np.float64)
        way = float(np.linalg.norm(np.diff(xy, axis=0), axis=-1).sum())
        self._path = Path(xy, way * source.clip.fps / max(self._count - 1, 1))
        self._fine = between_frames(source.points, source.steps)

    def put(self, rng: np.random.Generator, strength: float) -> Footing:
        """The motion on a ground drawn at random; `strength` scales its heights.

        Raises:
            ImplausibleError: the ground comes out level, or a leg does not reach it.
        """
        terrain, pads = self._grid(rng)
        name = list(GROUNDS)[int(rng.integers(len(GROUNDS)))]
        centers = _centers(terrain)
        ground = GROUNDS[name](rng, centers, self._path)
        factor = strength / (1.0 + (self._path.speed / _FADE_SPEED) ** 2)
        rise = np.round(ground.rise * factor, 3)
        heights = _of_pads(rise, pads)
        feet, heights = self._feet(terrain, pads, heights)
        standing = [heights[pad] for pad, stance in zip(pads.of_stance, self._stances) if stance.side != BODY]
        if np.ptp(standing) < LEAST_RELIEF:
            raise ImplausibleError("footholds come out level", f"{name}, {np.ptp(standing):.3f} m")
        clip, targets = self._posed(feet)
        wanted = Ground(np.where(pads.of_cell >= 0, heights[pads.of_cell], rise), ground.sink)
        terrain = self._shaped(terrain, pads, wanted, clip)
        return Footing(with_contacts(clip, self._body, self._source, terrain), terrain, name,
                       pads.of_cell >= 0, targets)  # fmt: skip

    def _grid(self, rng: np.random.Generator) -> Tuple[Heightfield, Pads]:
        """Cells below and around the motion; on a terrain that is flat throughout they may lie anywhere."""
        given = self._source.terrain
        if np.ptp(given.hf) > 1e-3:
            return given, find_pads(self._stances, given)
        xy = self._source.points[..., :2].reshape(-1, 2)
        dx = float(given.dx)
        shape = np.ceil(np.ptp(xy, axis=0) / dx).astype(int) + 2 * _MARGIN_CELLS + 1
        flat = np.full(tuple(shape), self._level, dtype=np.float32)
        best = None
        for phase in rng.uniform(-0.5, 0.5, (_PHASES, 2)):
            corner = xy.min(axis=0) - (_MARGIN_CELLS + phase) * dx
            grid = Heightfield(flat, np.round(corner, 3).astype(np.float32), given.dx)
            pads = find_pads(self._stances, grid)
            if best is None or pads.count > best[1].count:
                best = (grid, pads)
        assert best is not None
        return best

    def _feet(
        self, terrain: Heightfield, pads: Pads, heights: np.ndarray
    ) -> Tuple[List[FootShift], np.ndarray]:
        """Shifts of both feet; pads that a swing cannot get along with become equally high."""
        obstacles = []
        for leg in self._body.legs:
            own = np.flatnonzero(self._body.cover.bodies == leg.foot)
            points, reach = self._source.points[:, own], self._body.cover.reach[own]
            obstacles.append(Obstacles(points, reach, pads, terrain, self._level))
        for _ in range(_ROUNDS):
            feet = [
                shift_foot(self._stances, swings, pads.of_stance, heights, obstacle, self._count)
                for swings, obstacle in zip(self._swings, obstacles)
            ]
            hits = [group for foot in feet for group in foot.hits]
            if not hits:
                break
            heights = _levelled(heights, hits)
        return feet, heights

    def _posed(self, feet: Sequence[FootShift]) -> Tuple[MotionClip, Tuple[np.ndarray, np.ndarray]]:
        """Pelvis and legs over the shifted feet, and where the ankles are to be."""
        source, clip = self._source, self._source.clip
        lift = self._pelvis(feet)
        joints = source.clip.joint_rot.copy()
        root_rot = source.body_rot[:, 0].double()
        root_pos = source.body_pos[:, 0].double() + up(lift)
        targets = []
        for leg, foot in zip(self._body.legs, feet):
            ankle = source.body_pos[:, leg.foot].double() + up(foot.shift)
            hip = torch.from_numpy(clip.joint_rot[:, leg.thigh - 1]).double()
            # The knee goes on bending about the axis about which it bends already.
            knee_axis = rotations.quat_rotate(hip, torch.tensor([0.0, 1.0, 0.0], dtype=hip.dtype))
            foot_rot = source.body_rot[:, leg.foot].double()
            solved = solve_leg(leg, (root_pos, root_rot), (ankle, foot_rot), knee_axis)
            moved = np.abs(foot.shift - lift) > 1e-7
            for body, rotation in zip((leg.thigh, leg.shin, leg.foot), solved):
                joints[moved, body - 1] = _like(rotation.numpy(), joints[:, body - 1])[moved]
            targets.append(ankle.numpy())
        root = clip.root_pos + up(lift).numpy().astype(np.float32)
        return replace(clip, root_pos=root, joint_rot=joints), (targets[0], targets[1])

    def _pelvis(self, feet: Sequence[FootShift]) -> np.ndarray:
        """(n,) m by which the pelvis is higher: the mean of both feet's ground, as far as both legs reach."""
        width = max(1, int(round(_SMOOTHING_S * self._source.clip.fps)))
        middle = np.mean([foot.ground for foot in feet], axis=0)
        lift = smooth_average(middle, width)
        room = np.full(self._count, np.inf)
        for leg, foot, hip in zip(self._body.legs, feet, hips(self._body, self._source)):
            apart = (self._source.body_pos[:, leg.foot].double() - hip).numpy()
            longest = np.maximum(_REACH * leg.length, np.linalg.norm(apart, axis=-1))
            longest = np.minimum(longest, 0.9999 * leg.length)
            below = np.sqrt(np.maximum(longest**2 - (apart[:, :2] ** 2).sum(axis=-1), 0.0))
            room = np.minimum(room, apart[:, 2] + foot.shift + below)
        excess = np.maximum(lift - room, 0.0)
        return lift + smooth_below(-excess, width) if excess.any() else lift

    def _shaped(self, terrain: Heightfield, pads: Pads, ground: Ground, clip: MotionClip) -> Heightfield:
        """The terrain with its new heights; cells without a foothold give way to bodies that come too near."""
        free = pads.of_cell < 0
        flat = np.abs(terrain.hf - self._level) < 1e-3
        heights = np.where(flat, self._level + ground.rise - np.where(free, ground.sink, 0.0), terrain.hf)
        steps = self._source.steps
        after = between_frames(self._body.swept(clip), steps)
        cover = self._body.cover
        spare = np.minimum(self._fine[..., 2] - cover.drop - self._level, CELL_CLEARANCE)
        highest = after[..., 2] - cover.drop - spare
        pairs = cells_within(terrain, after[..., :2], cover.reach)
        allowed = np.full(terrain.hf.size, np.inf)
        np.minimum.at(allowed, pairs.cell, highest.ravel()[pairs.point])
        lowered = np.minimum(heights, np.floor(allowed.reshape(heights.shape) * 1000.0 + 0.5) / 1000.0)
        heights = np.where(free & flat, lowered, heights)
        return Heightfield(heights.astype(np.float32), terrain.min_point, terrain.dx)


def _like(rotation: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Rotations with the signs of given quaternions (n, 4), as float32."""
    opposite = (rotation * given).sum(axis=-1, keepdims=True) < 0
    signed: np.ndarray = np.where(opposite, -rotation, rotation).astype(np.float32)
    return signed


def smooth_average(values: np.ndarray, half_width: int) -> np.ndarray:
    """Average over ± half_width frames with bell-shaped weights, the ends held. (n,) -> (n,)."""
    offsets = np.arange(-half_width, half_width + 1)
    weights = np.cos(0.5 * np.pi * offsets / (half_width + 1)) ** 2
    places = np.clip(np.arange(len(values))[:, None] + offsets, 0, len(values) - 1)
    averaged: np.ndarray = values[places] @ (weights / weights.sum())
    return averaged


def _centers(terrain: Heightfield) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(size) for size in terrain.hf.shape), indexing="ij"), axis=-1)
    return terrain.min_point.astype(np.float64) + index * float(terrain.dx)


def _of_pads(rise: np.ndarray, pads: Pads) -> np.ndarray:
    """Height of each pad: the mean of what its cells are to have. (pads,) m."""
    on_pad = pads.of_cell >= 0
    number = pads.of_cell[on_pad]
    total = np.bincount(number, rise[on_pad], pads.count)
    return np.round(total / np.maximum(np.bincount(number, minlength=pads.count), 1), 3)


def _levelled(heights: np.ndarray, groups: Sequence[Tuple[int, ...]]) -> np.ndarray:
    """Pads of each group at their mean height; groups that share a pad are one."""
    merged: List[set] = []
    for group in groups:
        joined = set(group)
        apart = []
        for other in merged:
            if joined & other:
                joined |= other
            else:
                apart.append(other)
        merged = [*apart, joined]
    result = heights.copy()
    for joined in merged:
        places = sorted(joined)
        result[places] = np.round(heights[places].mean(), 3)
    return result
