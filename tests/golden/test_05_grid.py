"""Golden files 05: terrains arranged in a square or in a row, and their meshes."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.motion.formats.container import read_motion_terrain
from parc_core.terrain.grid import build_grid
from parc_core.terrain.heightfield import padding_cells


@pytest.fixture(scope="module", params=["square", "wide"])
def cases(request, golden_dir):
    """(golden arrays, grid built here) of every 05 file of a mode."""
    paths = sorted(golden_dir.glob(f"05_grid_{request.param}*.npz"))
    if not paths:
        pytest.skip(f"{golden_dir} holds no 05_grid_{request.param}*.npz")
    return [(want, _grid(want, golden_dir, request.param)) for want in map(np.load, paths)]


def _grid(want, golden_dir, mode):
    terrains = [
        read_motion_terrain(golden_dir / "files" / (name if name.endswith(".pkl") else f"{name}.pkl")).terrain
        for name in want["files"].tolist()
    ]
    dx, copies = float(terrains[0].dx), want["motion_offsets"].shape[1]
    padding = padding_cells(float(want["padding"]), dx)
    return build_grid(terrains, mode, padding, dx, terrains_per_motion=copies)


def _mesh_key(want, name, motion, copy):
    """`verts_3` where each motion has one terrain, `verts_3_1` for its second copy."""
    return next(key for key in (f"{name}_{motion}_{copy}", f"{name}_{motion}") if key in want)


def test_offsets_and_size(cases):
    for want, grid in cases:
        np.testing.assert_allclose(grid.motion_offsets, want["motion_offsets"], atol=1e-4)
        np.testing.assert_allclose(grid.terrain.min_point, want["global_min_point"], atol=1e-4)
        assert grid.terrain.hf.shape == tuple(want["global_dims"])


def test_heights(cases):
    """Inside the terrains; beside them the reference leaves 0 (a known defect)."""
    for want, grid in cases:
        for i, j, nx, ny in grid.patches.reshape(-1, 4):
            ours = grid.terrain.hf[i : i + nx, j : j + ny]
            np.testing.assert_array_equal(ours, want["global_hf"][i : i + nx, j : j + ny])


def test_meshes(cases):
    for want, grid in cases:
        for m in range(grid.num_motions):
            for t in range(grid.terrains_per_motion):
                vertices, triangles = grid.patch_mesh(m, t)
                wanted = want[_mesh_key(want, "verts", m, t)]
                np.testing.assert_allclose(vertices, wanted, rtol=1e-6, atol=1e-5)
                np.testing.assert_array_equal(triangles, want[_mesh_key(want, "tris", m, t)])
        if "mesh_sizes" in want and grid.terrains_per_motion == 1:
            sizes = [[len(part) for part in grid.patch_mesh(m)] for m in range(grid.num_motions)]
            assert sizes == want["mesh_sizes"].tolist()
