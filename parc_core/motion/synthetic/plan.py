"""What a synthetic motion does, before any pose is computed: footsteps in time on a stepped ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

FPS = 30
RIGHT, LEFT = 0, 1
FootPose = Tuple[float, float, float]
"""x m, y m and yaw rad of an ankle, in the plan's frame."""


@dataclass(frozen=True)
class Profile:
    """Ground whose height changes along x alone."""

    edges: Tuple[float, ...] = ()
    """x of the height changes, m, rising."""
    heights: Tuple[float, ...] = (0.0,)
    """Height before the first edge, between edges and after the last one, m; one more than the edges."""

    def height(self, x: np.ndarray) -> np.ndarray:
        """Ground height at x m. (...) -> (...) m."""
        return np.asarray(self.heights)[np.searchsorted(np.asarray(self.edges), x)]


@dataclass(frozen=True)
class Footstep:
    """One swing of one foot, from where it stands to `target`."""

    side: int
    """RIGHT or LEFT."""
    target: FootPose
    """Where the foot lands."""
    lift: float
    """s: the foot leaves the ground."""
    land: float
    """s: it stands again."""
    clearance: float
    """m above the highest ground on the way at the top of the swing."""
    heel_off: float
    """rad: how far the heel comes up around the moment when the toe leaves the ground."""
    heel_lead: float
    """s by which the heel leaves the ground before the toe."""


@dataclass(frozen=True)
class MotionPlan:
    """A whole motion in the plan's own frame: it starts near the origin, facing along x."""

    start: Tuple[FootPose, FootPose]
    """Right and left foot in the first frame."""
    steps: Tuple[Footstep, ...]
    """In order of time; swings do not overlap."""
    duration: float
    """s."""
    ground: Profile
    """Under the feet."""
    crouch: Tuple[Tuple[float, float], ...] = ((0.0, 0.0),)
    """(time s, depth m) waypoints of the pelvis below its standing height; smooth in between."""
    sway: Tuple[Tuple[float, float], ...] = ((0.0, 0.0),)
    """(time s, share) waypoints of the weight from the right (-1) to the left (1) foot while both stand."""
    lean: float = 0.06
    """rad: pitch of the trunk."""
    arm_swing: float = 0.6
    """rad of shoulder per metre between the feet."""
    arm_bend: float = 0.35
    """rad of the elbows."""
    yaw: float = 0.0
    """rad: turn of the whole motion about z; a multiple of pi/2 where the ground is not flat."""
    elevation: float = 0.0
    """m: added to all heights."""
