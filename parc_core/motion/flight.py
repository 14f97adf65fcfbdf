"""Whether a motion flies as gravity has it: what hangs in the air for longer may be impossible to follow."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.character.masses import GRAVITY, body_masses, mass_centers
from parc_core.character.model import Character
from parc_core.character.surface_points import SurfacePoints
from parc_core.motion.clip import MotionClip
from parc_core.motion.quality import CHUNK_FRAMES, penetration_depth
from parc_core.terrain.heightfield import Heightfield, grid_index

CLEAR = 0.1
"""m around the character without terrain, at least, in flight. Many captured walkers hover by a few centimetres, which
a tracker follows all the same."""
_FEWEST_FRAMES = 4  # two say nothing of an acceleration, and three little


class Flight(NamedTuple):
    """A stretch of a motion in which nothing holds the character."""

    begin_s: float
    """Since the motion's first frame."""
    end_s: float
    off_m: float
    """Largest distance of the centre of mass from free fall between the stretch's ends."""


def worst_of(flights: Sequence[Flight]) -> float:
    """Largest `off_m`; 0 without flights."""
    return max((flight.off_m for flight in flights), default=0.0)


class FlightMeter:
    """Finds and measures the flights of motions of one character."""

    def __init__(self, character: Character) -> None:
        self._kinematics = Kinematics(character)
        self._surface = SurfacePoints(character)
        self._masses, self._local = body_masses(character)

    def flights(self, clip: MotionClip, terrain: Heightfield) -> List[Flight]:
        """All flights of at least four frames, in their order; none of a character without masses."""
        body_pos, body_rot = self._kinematics.forward(
            *(torch.from_numpy(a) for a in (clip.root_pos, clip.root_rot, clip.joint_rot))
        )
        stretches = _stretches(self._in_flight(body_pos, body_rot, terrain))
        total = float(self._masses.sum())
        if not stretches or total == 0.0:
            return []
        centers = mass_centers(body_pos, body_rot, self._local)
        centre = np.einsum("njk,j->nk", centers, self._masses.numpy() / total)
        return [
            Flight(first / clip.fps, last / clip.fps, off_free_fall(centre[first : last + 1], clip.fps))
            for first, last in stretches
        ]

    def _in_flight(self, body_pos: Tensor, body_rot: Tensor, terrain: Heightfield) -> np.ndarray:
        """(n,) bool: no terrain is within CLEAR of any surface point, below or beside it."""
        # The bodies' origins are inside of them: cheap to look at, and few frames are left then.
        flying = _above(terrain, body_pos.double().numpy())
        left = np.flatnonzero(flying)
        for begin in range(0, len(left), CHUNK_FRAMES):
            frames = left[begin : begin + CHUNK_FRAMES]
            points = self._surface.posed(body_pos[frames], body_rot[frames]).double().numpy()
            for way in ((0, 0, -1), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)):
                free = (penetration_depth(terrain, points + CLEAR * np.array(way)) == 0.0).all(axis=1)
                flying[frames[~free]] = False
                frames, points = frames[free], points[free]
        return flying


def off_free_fall(centre: np.ndarray, fps: float) -> float:
    """Largest distance from the parabola through the first and the last place. (n, 3) m -> m."""
    seconds = (len(centre) - 1) / fps
    t = np.arange(len(centre))[:, None] / fps
    fall = centre[0] + (centre[-1] - centre[0]) * t / seconds
    fall[:, 2:] += 0.5 * GRAVITY * t * (seconds - t)
    return float(np.linalg.norm(centre - fall, axis=1).max())


def _above(terrain: Heightfield, points: np.ndarray) -> np.ndarray:
    """(n, P, 3) m -> (n,) bool: all points are CLEAR above their cells (beyond the border, its heights go on)."""
    cell = grid_index(terrain, points[..., :2])
    above: np.ndarray = (points[..., 2] > terrain.hf[cell[..., 0], cell[..., 1]] + CLEAR).all(axis=1)
    return above


def _stretches(flying: np.ndarray) -> List[Tuple[int, int]]:
    """First and last frame of each stretch that is long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flying, [False])).astype(np.int8)))
    return [
        (int(first), int(end) - 1)
        for first, end in zip(edges[0::2], edges[1::2])
        if end - first >= _FEWEST_FRAMES
    ]
