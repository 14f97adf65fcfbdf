"""What a motion on new ground must keep to, beside the motion that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from parc_core.motion.clip import MotionClip
from parc_core.motion.plausibility import judge
from parc_core.motion.skeleton import beyond_range
from parc_core.motion.variants.clearance import body_clearance
from parc_core.motion.variants.footing import Footing
from parc_core.motion.variants.implausible import ImplausibleError
from parc_core.motion.variants.source import Body, Source
from parc_core.motion.variants.swings import FOOT_CLEARANCE
from parc_core.terrain.heightfield import Heightfield

MAX_DEEPER = 0.02
"""m that the deepest point of a frame may be deeper in the ground than before."""
MAX_MISS = 0.01
"""m between an ankle and where it is to be: a leg that does not reach the ground."""
MAX_FARTHER = 0.05
"""rad that a joint may exceed its range, or its farthest place beyond it before."""
MAX_LIFT_ACCELERATION = 4.0
"""m/s² that the pelvis may be accelerated beyond what it was."""
MAX_JOINT_ACCELERATION = 300.0
"""rad/s² of a joint's dof, or ..."""
MAX_JOINT_FACTOR = 1.5
"""... as many times the greatest of the given motion."""
MAX_NEARER = 0.015
"""m that a foot may come nearer to the ground than its clearance."""


@dataclass(frozen=True)
class Extremes:
    """The numbers that are limited, of one motion."""

    beyond_range_rad: float
    """Of the joint that exceeds its range most; 0 where none does."""
    root_acceleration_m_s2: float
    joint_acceleration_rad_s2: float
    """Greatest of any dof."""


def extremes(body: Body, clip: MotionClip) -> Extremes:
    """Of all frames."""
    root = np.linalg.norm(np.diff(clip.root_pos.astype(np.float64), n=2, axis=0), axis=-1)
    return Extremes(
        beyond_range_rad=max(float(beyond_range(clip.joint_rot, body.skeleton).max(initial=0.0)), 0.0),
        root_acceleration_m_s2=float(root.max(initial=0.0)) * clip.fps**2,
        joint_acceleration_rad_s2=_joint_acceleration(body, clip),
    )


def _joint_acceleration(body: Body, clip: MotionClip) -> float:
    joints = torch.from_numpy(clip.joint_rot)
    speed = body.kinematics.dof_velocity(joints[:-1], joints[1:], 1.0 / clip.fps).numpy()
    return float(np.abs(np.diff(speed, axis=0)).max(initial=0.0)) * clip.fps


def check_footing(body: Body, source: Source, made: Footing) -> None:
    """Raises ImplausibleError for the first limit that the motion breaks."""
    clip, given = made.clip, source.clip
    body_pos, body_rot = body.forward(clip)
    miss = max(
        float(np.linalg.norm(body_pos[:, leg.foot].double().numpy() - target, axis=-1).max())
        for leg, target in zip(body.legs, made.foot_target)
    )
    _limit("a leg does not reach the ground", miss, MAX_MISS, "m")
    before = beyond_range(given.joint_rot, body.skeleton).max(axis=0)
    farther = (beyond_range(clip.joint_rot, body.skeleton).max(axis=0) - np.maximum(before, 0.0)).max()
    _limit("a joint leaves its range", float(farther), MAX_FARTHER, "rad")
    lift = clip.root_pos[:, 2].astype(np.float64) - given.root_pos[:, 2]
    acceleration = float(np.abs(np.diff(lift, n=2)).max(initial=0.0)) * clip.fps**2
    _limit("the pelvis is accelerated too much", acceleration, MAX_LIFT_ACCELERATION, "m/s²")
    allowed = max(MAX_JOINT_ACCELERATION, MAX_JOINT_FACTOR * _joint_acceleration(body, given))
    _limit("a joint is accelerated too much", _joint_acceleration(body, clip), allowed, "rad/s²")
    deeper = float((body.meter.depths(clip, made.terrain) - source.depth).max())
    _limit("a body is in the ground", deeper, MAX_DEEPER, "m")
    _check_feet(body, source, body.cover.posed(body_pos, body_rot), made.terrain)


def _check_feet(body: Body, source: Source, points: np.ndarray, terrain: Heightfield) -> None:
    feet = [leg.foot for leg in body.legs]
    now = body_clearance(body, points, terrain)[:, feet]
    before = body_clearance(body, source.points, source.terrain)[:, feet]
    nearer = float((np.minimum(before, FOOT_CLEARANCE) - now).max())
    _limit("a foot comes too near the ground", nearer, MAX_NEARER, "m")


def check_plausible(body: Body, clip: MotionClip, terrain: Heightfield) -> None:
    """Raises ImplausibleError where a data set would find the motion wrong or odd."""
    found = judge(clip, terrain, body.skeleton)
    if found.text:
        raise ImplausibleError("implausible", str(found))


def _limit(reason: str, value: float, limit: float, unit: str) -> None:
    if value > limit:
        raise ImplausibleError(reason, f"{value:.3g} {unit}, limit {limit:.3g}")
