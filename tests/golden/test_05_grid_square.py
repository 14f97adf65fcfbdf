"""Golden files 05: the square grid of terrains and its meshes."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.motion.formats.container import read_motion_terrain
from parc_core.terrain.grid import build_grid
from parc_core.terrain.heightfield import padding_cells


@pytest.fixture(scope="module")
def cases(golden_dir):
    """(golden arrays, grid built here) of every 05 file."""
    paths = sorted(golden_dir.glob("05_grid_square*.npz"))
    if not paths:
        pytest.skip(f"{golden_dir} holds no 05_grid_square*.npz")
    return [(want, _grid(want, golden_dir)) for want in map(np.load, paths)]


def _grid(want, golden_dir):
    terrains = [
        read_motion_terrain(golden_dir / "files" / (name if name.endswith(".pkl") else f"{name}.pkl")).terrain
        for name in want["files"].tolist()
    ]
    dx = float(terrains[0].dx)
    return build_grid(terrains, "square", padding_cells(float(want["padding"]), dx), dx)


def test_offsets_and_size(cases):
    for want, grid in cases:
        np.testing.assert_allclose(grid.motion_offsets, want["motion_offsets"], atol=1e-4)
        np.testing.assert_allclose(grid.terrain.min_point, want["global_min_point"], atol=1e-4)
        assert grid.terrain.hf.shape == tuple(want["global_dims"])


def test_heights(cases):
    """Inside the padded terrains; outside of them the reference leaves 0 (a known defect)."""
    for want, grid in cases:
        for i, j, nx, ny in grid.patches[:, 0]:
            ours = grid.terrain.hf[i : i + nx, j : j + ny]
            np.testing.assert_array_equal(ours, want["global_hf"][i : i + nx, j : j + ny])


def test_meshes(cases):
    for want, grid in cases:
        for m in range(grid.num_motions):
            vertices, triangles = grid.patch_mesh(m)
            assert [len(vertices), len(triangles)] == want["mesh_sizes"][m].tolist()
            np.testing.assert_allclose(vertices, want[f"verts_{m}"], rtol=1e-6, atol=1e-5)
            np.testing.assert_array_equal(triangles, want[f"tris_{m}"])
