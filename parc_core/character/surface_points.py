"""Points on the surface of a character's bodies: which terrain cells it stands, hangs and flies over."""

from __future__ import annotations

from typing import List

import numpy as np
import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.model import Character, Geom

_BOX_POINTS = (3, 6, 2)  # along x, y and z
_RING_POINTS, _RINGS = 4, 4  # around and along a capsule's axis; its ends have none, as in the reference


class SurfacePoints:
    """All P surface points of a character, to be posed.

    Attributes:
        bodies: (P,) int64: which body each lies on.
    """

    def __init__(self, character: Character) -> None:
        points = surface_points(character)
        owners = [np.full(len(part), body) for body, part in enumerate(points)]
        self.bodies = torch.from_numpy(np.concatenate(owners))  # (P,)
        self._points = torch.from_numpy(np.concatenate(points))  # (P, 3)

    def posed(self, body_pos: Tensor, body_rot: Tensor) -> Tensor:
        """Where they are in n frames: bodies at (n, J, 3) m, turned by (n, J, 4) xyzw -> (n, P, 3) m."""
        rot, pos = body_rot.index_select(1, self.bodies), body_pos.index_select(1, self.bodies)
        return rotations.quat_rotate(rot, self._points) + pos


def surface_points(character: Character) -> List[np.ndarray]:
    """Samples of every body's shapes, as dense as stage 1 of PARC takes them.

    A sphere (or ellipsoid) has the 12 corners of an icosahedron, a box 3 x 6 x 2 points, a capsule (or cylinder) 4
    rings of 4 around its axis; a body without shapes has its origin.

    Returns:
        J arrays (P, 3) float32 m, in the frame of the body.
    """
    points: List[List[np.ndarray]] = [[] for _ in character.body_names]
    for geom in character.geoms:
        points[geom.body].append(_rotate(_turn(geom), _local(geom)) + np.asarray(geom.pos))
    origin = [np.zeros((1, 3))]
    return [np.concatenate(parts or origin).astype(np.float32) for parts in points]


def _turn(geom: Geom) -> np.ndarray:
    """Quaternion (4,) xyzw of the samples in the body's frame.

    The first point of a ring decides which border cells are met. The reference turns a capsule from z to its axis by
    a quarter turn about their normal, exact for horizontal axes and nearly so for its clavicles; one along z is turned
    about z by the arc cosine of its length (m).
    """
    if geom.fromto is None:
        return np.asarray(geom.quat)
    axis = np.asarray(geom.fromto[3:]) - np.asarray(geom.fromto[:3])
    normal = np.array([-axis[1], axis[0], 0.0])
    size = float(np.linalg.norm(normal))
    if size < 1e-5:
        half = 0.5 * np.arccos(np.clip(axis[2], -1.0, 1.0))
        return np.array([0.0, 0.0, np.sin(half), np.cos(half)])
    return np.append(normal / size * np.sqrt(0.5), np.sqrt(0.5))


def _local(geom: Geom) -> np.ndarray:
    """(P, 3) m in the frame of the shape."""
    if geom.type == "box":
        axes = [np.linspace(-half, half, count) for half, count in zip(geom.size, _BOX_POINTS)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    if geom.type in ("capsule", "cylinder"):
        turn = 2 * np.pi * np.arange(_RING_POINTS) / _RING_POINTS
        ring = geom.size[0] * np.stack((np.cos(turn), np.sin(turn)), axis=-1)
        along = np.linspace(-geom.size[1], geom.size[1], _RINGS)
        rings = np.broadcast_to(ring, (_RINGS, _RING_POINTS, 2))
        heights = np.broadcast_to(along[:, None, None], (_RINGS, _RING_POINTS, 1))
        return np.concatenate((rings, heights), axis=-1).reshape(-1, 3)
    return _icosahedron() * np.asarray(geom.size if geom.type == "ellipsoid" else [geom.size[0]] * 3)


def _icosahedron() -> np.ndarray:
    """(12, 3) corners at distance 1."""
    golden = (1 + 5**0.5) / 2
    corners = [np.roll((0.0, a, b * golden), k) for k in range(3) for a in (-1, 1) for b in (-1, 1)]
    return np.array(corners) / np.hypot(1.0, golden)


def _rotate(quat: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(4,) xyzw, (P, 3) -> (P, 3)."""
    twice = 2 * np.cross(quat[:3], vectors)
    return vectors + quat[3] * twice + np.cross(quat[:3], twice)
