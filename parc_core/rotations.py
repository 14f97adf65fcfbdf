"""Batched rotations in torch. Quaternions are xyzw, angles radians, z is up.

Every function broadcasts over leading dimensions. "Heading" is atan2 of the rotated x axis. The formulas are
textbook ones; agreement with the reference implementation is tested against golden file 01_kin_char.
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL_ANGLE = 1e-6  # rad; below it exp/log maps use their first-order series


def normalize(x: Tensor, eps: float = 1e-9) -> Tensor:
    """Scales the last dimension to unit length (zero vectors stay zero)."""
    return x / x.norm(dim=-1, keepdim=True).clamp(min=eps)


def quat_mul(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product a·b: rotates by b first, then by a. (..., 4), (..., 4) -> (..., 4)."""
    ax, ay, az, aw = a.unbind(-1)
    bx, by, bz, bw = b.unbind(-1)
    return torch.stack(
        (
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ),
        dim=-1,
    )


def quat_conj(q: Tensor) -> Tensor:
    """Inverse of a unit quaternion. (..., 4) -> (..., 4)."""
    return torch.cat((-q[..., :3], q[..., 3:]), dim=-1)


def quat_rotate(q: Tensor, v: Tensor) -> Tensor:
    """Rotates vectors. (..., 4), (..., 3) -> (..., 3)."""
    xyz = q[..., :3]
    xyz, v = torch.broadcast_tensors(xyz, v)
    t = 2.0 * torch.cross(xyz, v, dim=-1)
    return v + q[..., 3:] * t + torch.cross(xyz, t, dim=-1)


def quat_pos(q: Tensor) -> Tensor:
    """The one of ±q whose w is not negative."""
    return torch.where(q[..., 3:] < 0, -q, q)


def normalize_angle(angle: Tensor) -> Tensor:
    """Wraps into (-pi, pi]."""
    return torch.atan2(torch.sin(angle), torch.cos(angle))


def quat_to_exp_map(q: Tensor) -> Tensor:
    """Rotation vector with angle in [0, pi]. (..., 4) -> (..., 3).

    angle = 2·atan2(|xyz|, w) is accurate at every angle, unlike 2·acos(w).
    """
    q = quat_pos(q)
    sin_half = q[..., :3].norm(dim=-1, keepdim=True)
    angle = 2.0 * torch.atan2(sin_half, q[..., 3:])
    small = sin_half < _SMALL_ANGLE
    ratio = angle / torch.where(small, torch.ones_like(angle), sin_half)
    return q[..., :3] * torch.where(small, torch.full_like(angle, 2.0), ratio)


def axis_angle_to_quat(axis: Tensor, angle: Tensor) -> Tensor:
    """(..., 3), (...) -> (..., 4)."""
    half = 0.5 * angle[..., None]
    return torch.cat((normalize(axis) * torch.sin(half), torch.cos(half)), dim=-1)


def exp_map_to_quat(exp_map: Tensor) -> Tensor:
    """(..., 3) rotation vector of any length -> (..., 4) with w not negative."""
    angle = exp_map.norm(dim=-1, keepdim=True)
    half = 0.5 * angle
    small = angle < _SMALL_ANGLE
    sinc = torch.sin(half) / torch.where(small, torch.ones_like(angle), angle)
    scale = torch.where(small, torch.full_like(angle, 0.5), sinc)
    return quat_pos(torch.cat((exp_map * scale, torch.cos(half)), dim=-1))


def matrix_to_quat(m: Tensor) -> Tensor:
    """Rotation matrices, whose columns are the turned axes, (..., 3, 3) -> (..., 4).

    Of four formulas that hold for all rotations each row takes the one that divides by the largest number.
    """
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (row.unbind(-1) for row in m.unbind(-2))
    rows = (
        (1 + m00 - m11 - m22, m01 + m10, m02 + m20, m21 - m12),
        (m01 + m10, 1 - m00 + m11 - m22, m12 + m21, m02 - m20),
        (m02 + m20, m12 + m21, 1 - m00 - m11 + m22, m10 - m01),
        (m21 - m12, m02 - m20, m10 - m01, 1 + m00 + m11 + m22),
    )
    table = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)  # (..., 4, 4): 4 q_k q
    best = table.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = table.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    return normalize(row)


def quat_diff_angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between two rotations, in [0, pi]. (..., 4), (..., 4) -> (...)."""
    d = quat_mul(b, quat_conj(a))
    return 2.0 * torch.atan2(d[..., :3].norm(dim=-1), d[..., 3].abs())


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Shortest-arc interpolation. (..., 4), (..., 4), t broadcastable to (..., 1) -> (..., 4).

    The arc is 2·atan2(|a−b|, |a+b|), which stays accurate for neighbouring frames where acos(a·b) loses all
    digits. Linear where the arc is too small to divide by its sine; the reference returns the midpoint there
    (below 1e-3), hence the tolerance of 2e-3 in the golden test.
    """
    b = torch.where((a * b).sum(-1, keepdim=True) < 0, -b, b)
    arc = 2.0 * torch.atan2((a - b).norm(dim=-1, keepdim=True), (a + b).norm(dim=-1, keepdim=True))
    small = arc < 1e-4
    safe = torch.where(small, torch.ones_like(arc), torch.sin(arc))
    weight_a = torch.where(small, 1.0 - t, torch.sin((1.0 - t) * arc) / safe)
    weight_b = torch.where(small, t.expand_as(arc), torch.sin(t * arc) / safe)
    return normalize(weight_a * a + weight_b * b)


def quat_to_tan_norm(q: Tensor) -> Tensor:
    """Images of the x axis and of the z axis. (..., 4) -> (..., 6)."""
    x, y, z, w = q.unbind(-1)
    return torch.stack(
        (
            1 - 2 * (y * y + z * z),
            2 * (x * y + w * z),
            2 * (x * z - w * y),
            2 * (x * z + w * y),
            2 * (y * z - w * x),
            1 - 2 * (x * x + y * y),
        ),
        dim=-1,
    )


def heading(q: Tensor) -> Tensor:
    """Yaw of the rotated x axis. (..., 4) -> (...)."""
    x, y, z, w = q.unbind(-1)
    return torch.atan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))


def yaw_quat(angle: Tensor) -> Tensor:
    """Rotation about z. (...) -> (..., 4)."""
    zero = torch.zeros_like(angle)
    return torch.stack((zero, zero, torch.sin(0.5 * angle), torch.cos(0.5 * angle)), dim=-1)


def heading_quat_inv(q: Tensor) -> Tensor:
    """H⁻¹: rotation about z by minus the heading. (..., 4) -> (..., 4)."""
    return yaw_quat(-heading(q))


def rotate_2d(v: Tensor, angle: Tensor) -> Tensor:
    """Rotates xy vectors counter-clockwise. (..., 2), (...) -> (..., 2)."""
    c, s = torch.cos(angle), torch.sin(angle)
    x, y = v.unbind(-1)
    return torch.stack((c * x - s * y, s * x + c * y), dim=-1)
