"""The mesh of a large heightfield in strips is the mesh of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.terrain.mesh import heightfield_mesh, voxel_mesh_chunks

LOW = np.array([-3.0, 5.0], np.float32)


def corners(vertices: np.ndarray, triangles: np.ndarray) -> list[tuple[float, ...]]:
    """Triangles with an area as nine numbers each, in the order in which they turn, sorted."""
    found = []
    for a, b, c in np.round(vertices[triangles].astype(np.float64), 4):
        if np.linalg.norm(np.cross(b - a, c - a)) > 1e-9:
            turns = [tuple(np.concatenate(t)) for t in ((a, b, c), (b, c, a), (c, a, b))]
            found.append(min(turns))
    return sorted(found)


@pytest.mark.parametrize("max_cells", [1, 7, 21, 10_000])
def test_strips_are_the_whole(max_cells: int) -> None:
    hf = np.random.default_rng(0).integers(0, 3, (9, 7)).astype(np.float32) * 0.5
    parts = list(voxel_mesh_chunks(hf, LOW, 0.4, max_cells))
    assert len(parts) == {1: 9, 7: 9, 21: 3, 10_000: 1}[max_cells]
    whole = corners(*heightfield_mesh(hf, LOW, 0.4))
    assert sorted(t for part in parts for t in corners(*part)) == whole
    for vertices, triangles in parts:
        assert vertices.dtype == np.float32
        assert triangles.dtype == np.uint32
        assert triangles.max() < len(vertices)
        assert len(corners(vertices, triangles)) == len(triangles)  # none without area


def test_flat_ground_has_no_walls() -> None:
    ((vertices, triangles),) = voxel_mesh_chunks(np.ones((3, 4), np.float32), LOW, 0.4)
    assert triangles.shape == (24, 3)
    assert set(vertices[:, 2]) == {1.0}


def test_a_million_cells_take_seconds() -> None:
    hf = np.random.default_rng(0).integers(0, 2, (1000, 1000)).astype(np.float32)
    sizes = [len(triangles) for _, triangles in voxel_mesh_chunks(hf, LOW, 0.4)]
    assert len(sizes) == 2
    assert sum(sizes) > 3_500_000
