"""One reference motion and the file that holds it with its terrain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Tuple

import numpy as np

from parc_core.terrain.heightfield import Heightfield


@dataclass(frozen=True)
class MotionClip:
    """Frames of one reference motion (spec section 2). Never mutated."""

    root_pos: np.ndarray
    """(n, 3) float32 m."""
    root_rot: np.ndarray
    """(n, 4) float32 xyzw."""
    joint_rot: np.ndarray
    """(n, J-1, 4) float32 xyzw, parent to child; fixed joints are identity."""
    body_contacts: Optional[np.ndarray]
    """(n, J) float32 in [0, 1], or None where the file has none."""
    fps: int
    """Frames per second."""
    loop_mode: str
    """"CLAMP" or "WRAP"."""

    @property
    def num_frames(self) -> int:
        return int(self.root_pos.shape[0])

    def first_seconds(self, seconds: float) -> MotionClip:
        """The clip's beginning, at least two frames; the whole clip where it is not longer."""
        n = max(2, round(seconds * self.fps) + 1)
        contacts = self.body_contacts
        return replace(
            self,
            root_pos=self.root_pos[:n],
            root_rot=self.root_rot[:n],
            joint_rot=self.joint_rot[:n],
            body_contacts=None if contacts is None else contacts[:n],
        )


@dataclass(frozen=True)
class MotionTerrain:
    """The content of a motion-terrain file."""

    motion: Optional[MotionClip]
    terrain: Optional[Heightfield]
    misc: Optional[bytes] = None
    """The pickled misc_data, unread; see `read_misc`."""
    notes: Tuple[str, ...] = ()
    """What was changed while reading, in words: resampled, moved near zero."""
