"""What to look at in a motion before training on it: where it is in the ground, jumps, or touches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Tuple

import numpy as np
import torch

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.character.surface_points import SurfacePoints
from parc_core.motion.clip import MotionClip
from parc_core.motion.quality import penetration_depth
from parc_core.terrain.heightfield import Heightfield, grid_index
from parc_core.viewing.clip_scene import Mark

DEEP_M = 0.05
"""Penetration that is marked (captured clips without faults: 0.03)."""
JUMP_M_S2 = 80.0
"""Acceleration of the root that is marked: 9 cm between two frames at 30 per second (captured clips: 60)."""
IN_THE_AIR_M = 0.10
"""Above the ground a body that is labelled as touching touches nothing."""
_TOUCHING = 0.5  # contact labels lie between 0 and 1


@dataclass(frozen=True)
class CheckedMotion:
    """A motion posed and measured; T frames of J bodies."""

    body_pos: np.ndarray
    """(T, J, 3) m."""
    body_rot: np.ndarray
    """(T, J, 4) xyzw."""
    series: Dict[str, np.ndarray]
    """(T,) each: penetration_m, root_acceleration_m_s2."""
    marks: Tuple[Mark, ...]
    """Stretches that deserve a look, the first ones first."""


class MotionChecker:
    """Checks motions of one character."""

    def __init__(self, character: Character) -> None:
        self._character = character
        self._kinematics = Kinematics(character)
        self._surface = SurfacePoints(character)

    def check(self, clip: MotionClip, terrain: Heightfield) -> CheckedMotion:
        """Poses all frames of a motion and marks what is odd."""
        pose = (torch.from_numpy(part) for part in (clip.root_pos, clip.root_rot, clip.joint_rot))
        body_pos, body_rot = self._kinematics.forward(*pose)
        points = self._surface.posed(body_pos, body_rot).double().numpy()
        depth = penetration_depth(terrain, points).max(axis=1)
        speed_up = _root_acceleration(clip)
        marks = [
            Mark("penetration", begin, end, f"penetration: {100 * depth[part].max():.0f} cm deep")
            for part, begin, end in _runs(depth > DEEP_M, clip.fps)
        ]
        marks += [
            Mark("jump", begin, end, f"jump: root at {speed_up[part].max():.0f} m/s²")
            for part, begin, end in _runs(speed_up > JUMP_M_S2, clip.fps)
        ]
        marks += self._contacts_in_the_air(clip, terrain, points)
        return CheckedMotion(
            body_pos.numpy(),
            body_rot.numpy(),
            {"penetration_m": depth, "root_acceleration_m_s2": speed_up},
            tuple(sorted(marks, key=lambda mark: mark.start_s)),
        )

    def _contacts_in_the_air(self, clip: MotionClip, terrain: Heightfield, points: np.ndarray) -> List[Mark]:
        if clip.body_contacts is None:
            return []
        i, j = np.moveaxis(grid_index(terrain, points[..., :2]), -1, 0)
        above = points[..., 2] - terrain.hf[i, j]
        marks: List[Mark] = []
        for body, name in enumerate(self._character.body_names):
            own = above[:, self._surface.bodies == body].min(axis=1)
            odd = (clip.body_contacts[:, body] > _TOUCHING) & (own > IN_THE_AIR_M)
            text = f"floating: {name} is said to touch in the air"
            marks += [Mark("floating", begin, end, text) for _, begin, end in _runs(odd, clip.fps)]
        return marks


def _root_acceleration(clip: MotionClip) -> np.ndarray:
    """(T,) m/s², 0 at both ends."""
    result = np.zeros(clip.num_frames)
    bend = np.diff(clip.root_pos.astype(np.float64), n=2, axis=0)
    result[1:-1] = np.linalg.norm(bend, axis=-1) * clip.fps**2
    return result


def _runs(odd: np.ndarray, fps: int) -> Iterator[Tuple[slice, float, float]]:
    """Runs of odd frames: which, and from when to when (s)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], odd.astype(np.int8), [0]))))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist()):
        yield slice(begin, end), begin / fps, (end - 1) / fps
