"""A centre-of-mass path that keeps a motion balanced over its feet.

The linear inverted pendulum (Kajita et al. 2001) ties the centre of mass c to the zero-moment point p:
c − (h/g) c̈ = p. Given p under the standing feet, c solves a boundary value problem; the error that this one-mass
model leaves is measured on the whole body's masses and taken out by solving again (Kajita et al. 2003).
"""

from __future__ import annotations

import numpy as np

from parc_core.character.masses import GRAVITY
from parc_core.motion.synthetic.curves import through
from parc_core.motion.synthetic.ik import Leg
from parc_core.motion.synthetic.plan import LEFT, RIGHT, FootPose, MotionPlan

_INWARD = 0.015  # m: the zero-moment point stays on the inner half of a foot, which takes some sway out
_SETTLE = 0.45  # s from the last landing to standing on both feet


def planned_zmp(plan: MotionPlan, leg: Leg, times: np.ndarray) -> np.ndarray:
    """Zero-moment point: under the standing foot, moving from foot to foot while both stand. -> (n, 3) m."""
    feet = list(plan.start)
    if not plan.steps:
        sway = np.array(plan.sway)
        share = through(times, sway[:, 0], sway[:, 1:])
        right, left = _support(plan, leg, feet[RIGHT], RIGHT), _support(plan, leg, feet[LEFT], LEFT)
        return 0.5 * (right + left) + 0.5 * share * (left - right)
    knots, points = [0.0], [_between(plan, leg, feet)]
    for step in plan.steps:
        standing = 1 - step.side
        support = _support(plan, leg, feet[standing], standing)
        knots += [step.lift, step.land]
        points += [support, support]
        feet[step.side] = step.target
    knots.append(knots[-1] + _SETTLE)
    points.append(_between(plan, leg, feet))
    return through(times, np.array(knots), np.array(points))


def _between(plan: MotionPlan, leg: Leg, feet: list) -> np.ndarray:
    return 0.5 * (_support(plan, leg, feet[RIGHT], RIGHT) + _support(plan, leg, feet[LEFT], LEFT))


def _support(plan: MotionPlan, leg: Leg, pose: FootPose, side: int) -> np.ndarray:
    """Point of the ground that carries the weight on one foot, (3,) m."""
    x, y, yaw = pose
    forward, inward = 0.028, _INWARD if side == RIGHT else -_INWARD
    return np.array(
        [
            x + forward * np.cos(yaw) - inward * np.sin(yaw),
            y + forward * np.sin(yaw) + inward * np.cos(yaw),
            float(plan.ground.height(np.array(x))),
        ]
    )


def solve_pendulum(zmp: np.ndarray, height: float, dt: float) -> np.ndarray:
    """Centre of mass over a zero-moment point, at rest over it at both ends.

    Args:
        zmp: (n, d) m.
        height: h of the pendulum, m.
        dt: s between frames.

    Returns:
        (n, d) m: the solution of c[i] − k (c[i+1] − 2 c[i] + c[i−1]) = p[i] with k = h / (g dt²).
    """
    # Forward elimination and back substitution (Thomas); no threaded library is worth waking for 100 rows.
    k = height / (GRAVITY * dt * dt)
    com = zmp.astype(np.float64)
    ratio = np.zeros(len(zmp))
    for i in range(1, len(zmp) - 1):
        pivot = 1.0 + 2.0 * k - k * ratio[i - 1]
        ratio[i] = k / pivot
        com[i] = (com[i] + k * com[i - 1]) / pivot
    for i in range(len(zmp) - 2, 0, -1):
        com[i] += ratio[i] * com[i + 1]
    return com


def measured_zmp(centers: np.ndarray, masses: np.ndarray, ground: np.ndarray, dt: float) -> np.ndarray:
    """Zero-moment point of moving point masses on a ground at height `ground`.

    p = Σ m ((z̈ + g) x − (z − ground) ẍ) / Σ m (z̈ + g), likewise in y; no acceleration at both ends.

    Args:
        centers: (n, J, 3) m.
        masses: (J,) kg.
        ground: (n,) m.
        dt: s between frames.

    Returns:
        (n, 2) m.
    """
    acceleration = np.zeros_like(centers)
    acceleration[1:-1] = (centers[2:] - 2.0 * centers[1:-1] + centers[:-2]) / (dt * dt)
    weight = masses * (acceleration[..., 2] + GRAVITY)
    lever = masses * (centers[..., 2] - ground[:, None])
    moment = weight[..., None] * centers[..., :2] - lever[..., None] * acceleration[..., :2]
    return moment.sum(axis=1) / weight.sum(axis=1)[:, None]
