"""Where both feet are in every frame of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from parc_core.motion.synthetic.curves import smoothstep
from parc_core.motion.synthetic.ik import Leg
from parc_core.motion.synthetic.plan import Footstep, MotionPlan

_LEVEL = 0.02  # m; steps with a smaller height difference swing like level ones


@dataclass(frozen=True)
class FootTrack:
    """One foot over n frames, in the plan's frame."""

    ankle: np.ndarray
    """(n, 3) m."""
    yaw: np.ndarray
    """(n,) rad."""
    pitch: np.ndarray
    """(n,) rad, toe down positive."""
    contact: np.ndarray
    """(n,) bool: the foot, or at least its toe, stands."""
    ground: np.ndarray
    """(n,) m: height that the foot stands on or last stood on."""


def track_foot(plan: MotionPlan, side: int, leg: Leg, times: np.ndarray) -> FootTrack:
    """Frames of one foot.

    What is planned is the path of the toe (the middle of the sole's front edge) and the pitch about it: so the
    heel can come up while the toe stays where it is.
    """
    start = plan.start[side]
    sole = np.array([_toe(start, leg)]) + np.zeros((len(times), 1))  # (n, 2) toe, then its height
    height = np.full(len(times), float(plan.ground.height(np.array(start[0]))))
    ground = height.copy()
    yaw, pitch = np.full(len(times), start[2]), np.zeros(len(times))
    contact = np.ones(len(times), dtype=bool)
    here = start
    for step in plan.steps:
        if step.side != side:
            continue
        z0, z1 = (float(plan.ground.height(np.array(pose[0]))) for pose in (here, step.target))
        s = (times - step.lift) / (step.land - step.lift)
        first, last = _travel_window(z1 - z0)
        along = smoothstep((s - first) / (last - first))
        sole += along[:, None] * (_toe(step.target, leg) - _toe(here, leg))
        yaw += along * (step.target[2] - here[2])
        between = plan.ground.height(np.linspace(here[0] - leg.heel, step.target[0] + leg.toe, 9))
        height += _swing_height(s, z0, z1, float(between.max()) + step.clearance)
        pitch += _heel_off(times, s, step)
        contact &= (s <= 0.0) | (s >= 1.0)
        ground[s >= 1.0] = z1
        here = step.target
    offset = np.stack((-leg.toe * np.cos(pitch) + leg.sole * np.sin(pitch),
                       leg.toe * np.sin(pitch) + leg.sole * np.cos(pitch)), axis=-1)  # fmt: skip
    ankle = np.stack(
        (
            sole[:, 0] + offset[:, 0] * np.cos(yaw),
            sole[:, 1] + offset[:, 0] * np.sin(yaw),
            height + offset[:, 1],
        ),
        axis=-1,
    )
    return FootTrack(ankle, yaw, pitch, contact, ground)


def _toe(pose: Sequence[float], leg: Leg) -> np.ndarray:
    """Middle of the sole's front edge for an ankle pose, (2,) m."""
    return np.array([pose[0] + leg.toe * np.cos(pose[2]), pose[1] + leg.toe * np.sin(pose[2])])


def _travel_window(rise: float) -> tuple:
    """Part of the swing in which the foot travels: after it came up a step, before it goes down one."""
    if rise > _LEVEL:
        return 0.25, 0.95
    return (0.05, 0.75) if rise < -_LEVEL else (0.05, 0.95)


def _swing_height(s: np.ndarray, z0: float, z1: float, top: float) -> np.ndarray:
    """Height of the toe above z0 over the swing's phase s, at most top − z0; z1 − z0 afterwards."""
    up, down = (0.5, 0.55) if abs(z1 - z0) <= _LEVEL else ((0.5, 0.65) if z1 > z0 else (0.35, 0.5))
    return (top - z0) * smoothstep(s / up) + (z1 - top) * smoothstep((s - down) / (1.0 - down))


def _heel_off(times: np.ndarray, s: np.ndarray, step: Footstep) -> np.ndarray:
    """Pitch before and during a swing; the foot lands flat."""
    swing = step.land - step.lift
    rising = smoothstep((times - step.lift + step.heel_lead) / (step.heel_lead + 0.1 * swing))
    return step.heel_off * rising * (1.0 - smoothstep((s - 0.2) / 0.7))
