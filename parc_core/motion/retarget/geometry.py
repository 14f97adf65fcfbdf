"""Frames spanned by directions, and mean rotations, batched over frames (numpy, float64; quaternions xyzw)."""

from __future__ import annotations

import itertools
from typing import Tuple

import numpy as np
import torch

from parc_core import rotations
from parc_core.motion.skeleton import multiply

_EPS = 1e-9


def unit(vectors: np.ndarray) -> np.ndarray:
    """(..., d) of length 1; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _EPS)


def square_to(vectors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The part of each vector that is square to a unit direction. (..., 3), (..., 3) -> (..., 3)."""
    return vectors - (vectors * directions).sum(axis=-1, keepdims=True) * directions


def conj(q: np.ndarray) -> np.ndarray:
    """Inverse of unit quaternions. (..., 4)."""
    return q * np.array([-1.0, -1.0, -1.0, 1.0])


def frames(first: Tuple[int, np.ndarray], second: Tuple[int, np.ndarray]) -> np.ndarray:
    """Rotations whose one axis points along a direction, and another as near as can be to a second one.

    Args:
        first: axis (0, 1, 2 for x, y, z) and its directions (n, 3).
        second: another axis and its directions (n, 3).

    Returns:
        (n, 4). Where both directions are parallel, the turn about the first is arbitrary.
    """
    (a, along), (b, near) = first, second
    axes = np.empty((*np.broadcast_shapes(along.shape, near.shape), 3))
    axes[..., a] = unit(along)
    beside = square_to(near, axes[..., a])
    lost = np.linalg.norm(beside, axis=-1, keepdims=True) < 1e-6
    other = np.eye(3)[np.argmin(np.abs(axes[..., a]), axis=-1)]
    axes[..., b] = unit(np.where(lost, square_to(other, axes[..., a]), beside))
    c = 3 - a - b
    turn = 1.0 if (b - a) % 3 == 1 else -1.0
    axes[..., c] = turn * np.cross(axes[..., a], axes[..., b])
    return rotations.matrix_to_quat(torch.from_numpy(axes)).numpy()


def mean_rotation(q: np.ndarray) -> np.ndarray:
    """The rotation nearest to all: largest eigenvector of the sum of q qᵀ (Markley et al. 2007). (n, 4) -> (4,)."""
    mean = np.linalg.eigh(q.T @ q)[1][:, -1]
    return mean if mean[3] >= 0 else -mean


def nearest_axes(q: np.ndarray) -> Tuple[np.ndarray, float]:
    """The rotation that takes axes onto axes and is nearest to `q` (4,), and the angle (rad) between both."""
    found = max(_AXIS_ROTATIONS, key=lambda turn: abs(float(turn @ q)))
    return found, float(2.0 * np.arccos(min(abs(float(found @ q)), 1.0)))


def _axis_rotations() -> np.ndarray:
    """The 24 rotations of a cube. (24, 4)."""
    steps = [np.array([0.0, 0.0, 0.0, 1.0])]
    half = np.sqrt(0.5)
    turns = [np.array([half, 0, 0, half]), np.array([0, half, 0, half]), np.array([0, 0, half, half])]
    for length in (1, 2, 3, 4):
        for product in itertools.product(turns, repeat=length):
            q = np.array([0.0, 0.0, 0.0, 1.0])
            for turn in product:
                q = multiply(q, turn)
            if all(abs(float(q @ other)) < 0.999 for other in steps):
                steps.append(q)
    return np.array(steps)


_AXIS_ROTATIONS = _axis_rotations()


def continuous(q: np.ndarray) -> np.ndarray:
    """The same rotations with no sign flips from frame to frame. (n, ..., 4)."""
    flips = np.where((q[1:] * q[:-1]).sum(axis=-1, keepdims=True) < 0, -1.0, 1.0)
    signs = np.concatenate([np.where(q[:1, ..., 3:] < 0, -1.0, 1.0), flips])
    return q * np.cumprod(signs, axis=0)


def rotation_vector(q: np.ndarray) -> np.ndarray:
    """(..., 4) -> (..., 3) rad, angle at most pi."""
    return rotations.quat_to_exp_map(torch.from_numpy(q)).numpy()


def from_rotation_vector(vectors: np.ndarray) -> np.ndarray:
    """(..., 3) rad -> (..., 4)."""
    return rotations.exp_map_to_quat(torch.from_numpy(vectors)).numpy()
