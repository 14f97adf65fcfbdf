"""How a motion is retargeted, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Optional, Tuple

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.terrain.heightfield import Heightfield

_SLIGHT = 0.01  # rad beyond a range that are none


@dataclass(frozen=True)
class RetargetOptions:
    """What may be chosen; the defaults are for walks, runs and gestures."""

    fps: int = 30
    """Frames per second of the result."""
    scale: Optional[float] = None
    """Result's lengths over the source's; None: leg length of the character over that of the source."""
    contact_height: float = 0.04
    """m above the ground below which a foot or hand can touch."""
    contact_speed: float = 0.45
    """m/s below which it then does."""
    hold: bool = False
    """Hands rest where the source's palms do, by inverse kinematics: for climbs and crawls."""


DEFAULT_OPTIONS = RetargetOptions()


@dataclass(frozen=True)
class RetargetedMotion:
    """A motion of the character, with what retargeting it took."""

    clip: MotionClip
    """With contacts of feet and hands; z = 0 is the ground where the source came without terrain."""
    terrain: Optional[Heightfield]
    """The source's terrain, scaled; None where there was none."""
    scale: float
    """Lengths of the result over those of the source."""
    shift: Tuple[float, float, float]
    """m added after scaling: root = scale * middle of the source's hips + shift. Sideways to zero where the source came
    without terrain, else 0; upwards so that standing soles are on the ground."""
    beyond: np.ndarray
    """(n, joints that move) rad: how far each joint was beyond the character's range, and was brought into it."""

    @property
    def limit_share(self) -> float:
        """Share of joints and frames in which a joint was beyond its range."""
        return float((self.beyond > _SLIGHT).mean())

    @property
    def limit_rad(self) -> float:
        """Largest angle (rad) by which one was."""
        return float(self.beyond.max())

    def pieces(self, max_seconds: float) -> List[RetargetedMotion]:
        """The motion cut into equal pieces of at most `max_seconds`; neighbours share a frame."""
        last = self.clip.num_frames - 1
        count = max(int(np.ceil(last / max(int(max_seconds * self.clip.fps), 1))), 1)
        cuts = [last * k // count for k in range(count + 1)]
        return [self._part(slice(begin, end + 1)) for begin, end in zip(cuts[:-1], cuts[1:])]

    def _part(self, part: slice) -> RetargetedMotion:
        clip, contacts = self.clip, self.clip.body_contacts
        cut = replace(
            clip,
            root_pos=clip.root_pos[part],
            root_rot=clip.root_rot[part],
            joint_rot=clip.joint_rot[part],
            body_contacts=None if contacts is None else contacts[part],
        )
        return replace(self, clip=cut, beyond=self.beyond[part])
