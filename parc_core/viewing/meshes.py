"""Triangles of characters and terrains for the live viewer."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from parc_core.character.model import Character, Geom

Mesh = Tuple[np.ndarray, np.ndarray]
"""Vertices (V, 3) float32 m and triangles (F, 3) int32."""
_AROUND, _UP = 20, 10  # corners around an axis, and from pole to pole
_LOW, _HIGH = np.array([219, 224, 230]), np.array([153, 181, 158])  # ground colours as in the offline player
_CHECK, _WALL = 0.95, 0.80  # brightness of every second cell, and of walls
_SLAB_M = 0.25


def body_meshes(character: Character) -> List[Mesh]:
    """One mesh for each of the J bodies, in its frame; empty where a body has no shape."""
    parts: List[List[Mesh]] = [[] for _ in character.body_names]
    for geom in character.geoms:
        vertices, faces = _shape(geom)
        parts[geom.body].append((_rotate(np.asarray(geom.quat), vertices) + np.asarray(geom.pos), faces))
    return [_joined(own) for own in parts]


def _joined(parts: List[Mesh]) -> Mesh:
    if not parts:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts[:-1])])
    faces = [own + start for (_, own), start in zip(parts, starts)]
    return (
        np.concatenate([vertices for vertices, _ in parts]).astype(np.float32),
        np.concatenate(faces).astype(np.int32),
    )


def _shape(geom: Geom) -> Mesh:
    if geom.type == "box":
        return _box(np.asarray(geom.size))
    if geom.type == "cylinder":
        radius, half = geom.size[:2]
        return _lathe([(0.0, half), (radius, half), (radius, -half), (0.0, -half)])
    turns = np.linspace(0.0, np.pi, _UP + 1)
    if geom.type == "capsule":
        radius, half = geom.size[:2]
        middle = np.pi / 2
        arc = [*turns[turns <= middle], *turns[turns >= middle]]
        sides = [half] * int((turns <= middle).sum()) + [-half] * int((turns >= middle).sum())
        return _lathe([(radius * np.sin(t), radius * np.cos(t) + side) for t, side in zip(arc, sides)])
    vertices, faces = _lathe([(np.sin(t), np.cos(t)) for t in turns])
    return vertices * np.asarray(geom.size if geom.type == "ellipsoid" else [geom.size[0]] * 3), faces


def _lathe(profile: List[Tuple[float, float]]) -> Mesh:
    """A profile of (radius, height) from top to bottom, turned about the z axis."""
    angle = 2 * np.pi * np.arange(_AROUND) / _AROUND
    rings = [
        np.stack((r * np.cos(angle), r * np.sin(angle), np.full(_AROUND, z)), axis=1) for r, z in profile
    ]
    k = np.arange(_AROUND)
    faces = []
    for ring in range(len(profile) - 1):
        a, b = ring * _AROUND + k, ring * _AROUND + (k + 1) % _AROUND
        c, d = a + _AROUND, b + _AROUND
        faces += [np.stack((a, c, d), axis=1), np.stack((a, d, b), axis=1)]
    return np.concatenate(rings), np.concatenate(faces)


def _box(half: np.ndarray) -> Mesh:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    vertices = np.concatenate(
        [corners[list(quad)] for quad in quads]
    )  # their own corners keep the edges sharp
    faces = np.concatenate([[[4 * k, 4 * k + 1, 4 * k + 2], [4 * k, 4 * k + 2, 4 * k + 3]] for k in range(6)])
    return vertices, faces


def _rotate(quat: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(4,) xyzw, (V, 3) -> (V, 3)."""
    twice = 2 * np.cross(quat[:3], vectors)
    return vectors + quat[3] * twice + np.cross(quat[:3], twice)


def ground_mesh(
    cell_xy: np.ndarray, cell_height: np.ndarray, dx: float
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tops of cells and walls towards lower neighbours and the border.

    Args:
        cell_xy: (nx, ny, 2) m, centres.
        cell_height: (nx, ny) m.
        dx: cell size, m.

    Returns:
        vertices (V, 3) float32 m, triangles (F, 3) int32, colours (V, 4) uint8.
    """
    low = float(cell_height.min())
    rise = (cell_height - low) / max(float(np.ptp(cell_height)), 1.0)
    i, j = np.indices(cell_height.shape)
    check = np.where((i + j) % 2 == 1, _CHECK, 1.0)
    tint = check[..., None] * ((1 - rise[..., None]) * _LOW + rise[..., None] * _HIGH)
    quads = [_tops(cell_xy, cell_height, dx)]
    tints = [tint.reshape(-1, 3)]
    padded = np.pad(cell_height, 1, constant_values=low - _SLAB_M)
    nx, ny = cell_height.shape
    for di, dj in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        beside = padded[1 + di : 1 + di + nx, 1 + dj : 1 + dj + ny]
        wall = beside < cell_height
        quads.append(_walls(cell_xy[wall], cell_height[wall], beside[wall], dx, (di, dj)))
        tints.append(_WALL * tint[wall])
    corners = np.concatenate(quads)
    start = 4 * np.arange(len(corners))[:, None]
    faces = np.concatenate((start + np.array([0, 1, 2]), start + np.array([0, 2, 3])))
    colours = np.repeat(np.concatenate(tints), 4, axis=0)
    rgba = np.concatenate((colours, np.full((len(colours), 1), 255.0)), axis=1)
    return corners.reshape(-1, 3).astype(np.float32), faces.astype(np.int32), rgba.astype(np.uint8)


def _tops(xy: np.ndarray, height: np.ndarray, dx: float) -> np.ndarray:
    """(nx·ny, 4, 3) m, seen from above against the clock."""
    around = 0.5 * dx * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners = xy.reshape(-1, 1, 2) + around
    tops = np.broadcast_to(height.reshape(-1, 1, 1), (*corners.shape[:2], 1))
    return np.concatenate((corners, tops), axis=-1)


def _walls(
    xy: np.ndarray, top: np.ndarray, bottom: np.ndarray, dx: float, side: Tuple[int, int]
) -> np.ndarray:
    """(n, 4, 3) m, one wall of each cell, seen from outside against the clock."""
    out = np.array(side, np.float64)
    along = np.array([-out[1], out[0]])
    left, right = (xy + 0.5 * dx * (out + sign * along) for sign in (-1.0, 1.0))
    points = [(left, bottom), (right, bottom), (right, top), (left, top)]
    return np.stack([np.concatenate((p, z[:, None]), axis=1) for p, z in points], axis=1)
