"""A motion that variants are made from, with what all of them need to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np
import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.motion.clip import MotionClip
from parc_core.motion.quality import QualityMeter
from parc_core.motion.skeleton import Skeleton
from parc_core.motion.synthetic.ik import SIDES, Leg, find_leg
from parc_core.motion.variants.implausible import ImplausibleError
from parc_core.motion.variants.stances import Stance, find_stances
from parc_core.motion.variants.sweep import BodyCover, near_cells, strides
from parc_core.terrain.heightfield import Heightfield

_LEVEL = 1e-3  # m between cells that count as one height
_AROUND = 0.1  # m around the character that must be flat for its feet to be put elsewhere


class Body:
    """One character with the tables that are made once for all its motions."""

    def __init__(self, character: Character) -> None:
        """Raises DataError where its legs are none that the inverse kinematics can move."""
        self.character = character
        self.kinematics = Kinematics(character)
        self.cover = BodyCover(character)
        self.meter = QualityMeter(character)
        self.skeleton = Skeleton.of(character)
        self.legs: Tuple[Leg, ...] = tuple(find_leg(character, side) for side in SIDES)

    def forward(self, clip: MotionClip) -> Tuple[Tensor, Tensor]:
        """Body positions (n, J, 3) m and rotations (n, J, 4)."""
        arrays = (clip.root_pos, clip.root_rot, clip.joint_rot)
        return self.kinematics.forward(*(torch.from_numpy(array) for array in arrays))

    def swept(self, clip: MotionClip) -> np.ndarray:
        """The cover's points in each frame, (n, P, 3) m."""
        return self.cover.posed(*self.forward(clip))


@dataclass(frozen=True)
class Source:
    """A motion on its own terrain."""

    clip: MotionClip
    terrain: Heightfield
    body_pos: Tensor
    """(n, J, 3) m."""
    body_rot: Tensor
    """(n, J, 4)."""
    points: np.ndarray
    """(n, P, 3) m of the cover."""
    steps: int
    """Poses to look at per frame."""
    depth: np.ndarray
    """(n,) m that the deepest point is in the terrain."""

    @classmethod
    def of(cls, body: Body, clip: MotionClip, terrain: Heightfield) -> Source:
        """Its kinematics, computed once."""
        pos, rot = body.forward(clip)
        points = body.cover.posed(pos, rot)
        return cls(clip, terrain, pos, rot, points, strides(points), body.meter.depths(clip, terrain))

    def level(self, body: Body) -> float:
        """Height of the flat ground that the motion is on, m.

        Raises:
            ImplausibleError: it is not flat everywhere below the character.
        """
        used = near_cells(self.terrain, self.points[..., :2], body.cover.reach + _AROUND)
        heights = self.terrain.hf[used]
        if float(np.ptp(heights)) > _LEVEL:
            raise ImplausibleError("not on flat ground", f"heights span {float(np.ptp(heights)):.2g} m")
        return float(np.median(heights))

    def stances(self, body: Body, level: float) -> List[Stance]:
        """Of both feet.

        Raises:
            ImplausibleError: a foot never stands.
        """
        found = find_stances(self.points, body.cover, body.legs, level, self.clip.fps)
        for side, name in enumerate(SIDES):
            if not any(stance.side == side for stance in found):
                raise ImplausibleError("a foot never stands", name)
        return found


def up(values: np.ndarray) -> Tensor:
    """Vectors along z. (n,) m -> (n, 3) float64 m."""
    vectors = torch.zeros(len(values), 3, dtype=torch.float64)
    vectors[:, 2] = torch.from_numpy(np.asarray(values, dtype=np.float64))
    return vectors


def hips(body: Body, source: Source) -> List[Tensor]:
    """Places of both hips, (n, 3) float64 m each."""
    root = source.body_pos[:, 0].double(), source.body_rot[:, 0].double()
    offsets = [torch.tensor(leg.hip_offset, dtype=torch.float64) for leg in body.legs]
    return [root[0] + rotations.quat_rotate(root[1], offset.expand_as(root[0])) for offset in offsets]
