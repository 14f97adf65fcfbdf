"""The rotations of `parc_core.rotations` as Warp functions, one rotation at a time; quaternions are xyzw.

The formulas are the same, so that kernels and torch code agree to float32 rounding (tested). Imported only by modules
that are themselves imported when engine `mujoco_warp` is chosen.
"""

# Warp's stubs describe calls from Python; inside kernels vectors have operators that they do not know.
# mypy: disable-error-code="operator, arg-type, return-value, call-overload"

from __future__ import annotations

import warp as wp

_SMALL_ANGLE = wp.constant(1e-6)  # rad; below it exp/log maps use their first-order series
_SMALL_ARC = wp.constant(1e-4)  # rad; below it slerp is linear


@wp.func
def quat_conj(q: wp.quat) -> wp.quat:
    """Inverse of a unit quaternion."""
    return wp.quat(-q[0], -q[1], -q[2], q[3])


@wp.func
def quat_rotate(q: wp.quat, v: wp.vec3) -> wp.vec3:
    """The rotated vector: v + w·t + xyz × t with t = 2 xyz × v."""
    xyz = wp.vec3(q[0], q[1], q[2])
    t = 2.0 * wp.cross(xyz, v)
    return v + q[3] * t + wp.cross(xyz, t)


@wp.func
def quat_to_exp_map(q: wp.quat) -> wp.vec3:
    """Rotation vector with angle in [0, pi] rad: angle = 2·atan2(|xyz|, w) is accurate at every angle."""
    if q[3] < 0.0:
        q = -q
    xyz = wp.vec3(q[0], q[1], q[2])
    sin_half = wp.length(xyz)
    if sin_half < _SMALL_ANGLE:
        return 2.0 * xyz
    return (2.0 * wp.atan2(sin_half, q[3]) / sin_half) * xyz


@wp.func
def exp_map_to_quat(v: wp.vec3) -> wp.quat:
    """Rotation vector (rad) of any length to the quaternion whose w is not negative."""
    angle = wp.length(v)
    half = 0.5 * angle
    if angle < _SMALL_ANGLE:
        return wp.quat(0.5 * v[0], 0.5 * v[1], 0.5 * v[2], wp.cos(half))
    scale = wp.sin(half) / angle
    q = wp.quat(v[0] * scale, v[1] * scale, v[2] * scale, wp.cos(half))
    if q[3] < 0.0:
        q = -q
    return q


@wp.func
def slerp(a: wp.quat, b: wp.quat, t: float) -> wp.quat:
    """Shortest-arc interpolation; the arc is 2·atan2(|a−b|, |a+b|), linear where it is too small."""
    if wp.dot(a, b) < 0.0:
        b = -b
    arc = 2.0 * wp.atan2(wp.length(a - b), wp.length(a + b))
    weight_a = 1.0 - t
    weight_b = t
    if arc >= _SMALL_ARC:
        sine = wp.sin(arc)
        weight_a = wp.sin((1.0 - t) * arc) / sine
        weight_b = wp.sin(t * arc) / sine
    q = weight_a * a + weight_b * b
    return q / wp.max(wp.length(q), 1e-9)


@wp.func
def image_of_x(q: wp.quat) -> wp.vec3:
    """Image of the x axis ("tan")."""
    x, y, z, w = q[0], q[1], q[2], q[3]
    return wp.vec3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y))


@wp.func
def image_of_z(q: wp.quat) -> wp.vec3:
    """Image of the z axis ("norm")."""
    x, y, z, w = q[0], q[1], q[2], q[3]
    return wp.vec3(2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y))


@wp.func
def heading(q: wp.quat) -> float:
    """Yaw of the rotated x axis, rad in (-pi, pi]."""
    x, y, z, w = q[0], q[1], q[2], q[3]
    return wp.atan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z))


@wp.func
def yaw_quat(angle: float) -> wp.quat:
    """Rotation about z by an angle in rad."""
    return wp.quat(0.0, 0.0, wp.sin(0.5 * angle), wp.cos(0.5 * angle))


@wp.func
def quat_diff_angle(a: wp.quat, b: wp.quat) -> float:
    """Angle between two rotations, rad in [0, pi]."""
    d = b * quat_conj(a)
    return 2.0 * wp.atan2(wp.length(wp.vec3(d[0], d[1], d[2])), wp.abs(d[3]))
