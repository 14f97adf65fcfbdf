"""Meshes are closed, face outwards and lie where the shapes are."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.viewing.meshes import body_meshes, ground_mesh
from tests.viewing.scenes import humanoid


def volume(vertices, faces):
    """Of a closed mesh whose triangles are seen from outside against the clock."""
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def test_bodies_have_the_volume_of_their_shapes():
    character = humanoid()
    for body, (vertices, faces) in enumerate(body_meshes(character)):
        own = sum(geom.volume for geom in character.geoms if geom.body == body)
        assert volume(vertices, faces) == pytest.approx(
            own, rel=0.06
        )  # corners lie on the surface, faces inside


def test_the_ground_has_tops_at_its_heights_and_walls_between():
    xy = np.stack(np.meshgrid([0.0, 0.4], [0.0, 0.4], indexing="ij"), axis=-1)
    heights = np.array([[0.0, 0.0], [0.0, 0.6]])
    vertices, faces, colours = ground_mesh(xy, heights, 0.4)
    assert len(faces) == 2 * (4 + 8 + 2)  # tops, border, and two walls between
    assert len(colours) == len(vertices) and vertices[:, 2].max() == pytest.approx(0.6)
    normals = np.cross(
        vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]]
    )
    middle = vertices[faces].mean(axis=1)
    flat = np.abs(normals[:, 2]) > 1e-6
    assert (normals[flat, 2] > 0).all()  # seen from above
    border = ~flat & (np.abs(middle[:, :2] - 0.2).max(axis=1) > 0.39)
    assert ((normals * (middle - [0.2, 0.2, 0.0]))[border, :2].sum(axis=1) > 0).all()  # seen from outside
