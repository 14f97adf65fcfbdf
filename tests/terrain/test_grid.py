"""The arrangement of terrains in one grid, its meshes, and terrain.pkl."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.formats.terrain_grid import read_terrain_pkl, write_terrain_pkl
from parc_core.terrain.grid import build_grid
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.mesh import heightfield_mesh
from tests.terrain.lookup import heights_at


def make(rows, min_point=(0.0, 0.0), dx=0.5):
    return Heightfield(np.array(rows, np.float32), np.array(min_point, np.float32), dx)


def area_vectors(mesh):
    """Normal of each triangle times its area."""
    vertices, triangles = mesh
    a, b, c = (vertices[triangles[:, k]].astype(float) for k in range(3))
    return 0.5 * np.cross(b - a, c - a)


def test_square_by_hand():
    """Three terrains in 2 × 2 plots of 3 × 4 cells (the largest, 1 × 2, padded by one cell)."""
    first, second, third = make([[1.0, 2.0]]), make([[5.0]], (7.0, 7.0)), make([[-1.0]])
    grid = build_grid([first, second, third], "square", 1, 0.5)
    assert grid.terrain.hf.shape == (6, 8)
    np.testing.assert_array_equal(grid.terrain.min_point, [-1.5, -2.0])
    # Plots are filled along y first: (0, 0), (0, 1), (1, 0); the fourth is nobody's and lies lowest.
    np.testing.assert_array_equal(grid.terrain.hf[:3, :4], [[1, 1, 1, 1], [1, 1, 2, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(grid.terrain.hf[:3, 4:], np.full((3, 4), 5.0))
    np.testing.assert_array_equal(grid.terrain.hf[3:], np.full((3, 8), -1.0))
    # The first terrain's cell (0, 0) is the grid's (1, 1), centre (-1, -1.5).
    np.testing.assert_array_equal(grid.motion_offsets[:, 0], [[-1.0, -1.5], [-8.0, -6.5], [0.5, -1.5]])
    assert grid.patches[1, 0].tolist() == [0, 4, 3, 3]


def test_a_moved_point_reads_the_same_height():
    rng = np.random.default_rng(3)
    terrains = [make(rng.normal(size=rng.integers(2, 9, 2)), rng.normal(size=2)) for _ in range(7)]
    before = [terrain.hf.copy() for terrain in terrains]
    for mode, copies in (("square", 1), ("wide", 3)):
        grid = build_grid(terrains, mode, 2, 0.5, terrains_per_motion=copies)
        assert grid.motion_offsets.shape == (7, copies, 2)
        for m, terrain in enumerate(terrains):
            inside = np.array(terrain.hf.shape) - 1
            points = (terrain.min_point + rng.uniform(0, 1, (40, 2)) * inside * 0.5).astype(np.float32)
            for t in range(copies):
                moved = points + grid.motion_offsets[m, t]
                np.testing.assert_array_equal(heights_at(grid.terrain, moved), heights_at(terrain, points))
    for terrain, copy in zip(terrains, before):
        np.testing.assert_array_equal(terrain.hf, copy)


def test_wide_is_one_row_along_x():
    grid = build_grid([make([[1.0]]), make([[2.0]])], "wide", 0, 0.5, terrains_per_motion=3)
    np.testing.assert_array_equal(grid.terrain.hf, [[1, 1, 1], [2, 2, 2]])


def test_wide_by_hand():
    """Terrains of 2 × 3 and 1 × 1 cells, one cell of padding, two copies: PARC's places, sizes and first point.

    Along x 2 + 2 + 1 cells, along y 3 + 2 + 3; a terrain's neighbourhood lies at its lowest height, the rest at the
    lowest of all. PARC has 0 in both.
    """
    first, second = make([[3, 2, 3], [3, 4, 3]], (7.0, 8.0)), make([[1.0]], (-1.0, 0.5))
    grid = build_grid([first, second], "wide", 1, 0.5, terrains_per_motion=2)
    np.testing.assert_array_equal(grid.terrain.min_point, [0.0, 0.0])
    wanted = [
        [3, 2, 3, 2, 2, 3, 2, 3],
        [3, 4, 3, 2, 2, 3, 4, 3],
        [2, 2, 2, 2, 2, 2, 2, 2],
        [1, 1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1, 1],
    ]
    # The second terrain's padding reaches 1 cell to each side of its places (0 and 3 along y).
    assert grid.terrain.hf.shape == (5, 8)
    np.testing.assert_array_equal(grid.terrain.hf, wanted)
    np.testing.assert_array_equal(
        grid.motion_offsets, [[[-7.0, -8.0], [-7.0, -5.5]], [[3.0, -0.5], [3.0, 1.0]]]
    )
    assert grid.patches[:, 1].tolist() == [[0, 5, 2, 3], [4, 3, 1, 1]]


def test_wide_meshes_have_their_padding_as_a_frame():
    """PARC's eight vertices and triangles behind the cells'; a flat terrain is one rectangle with its padding."""
    grid = build_grid([make([[0.0, 1.0]]), make([[2.0]])], "wide", 1, 0.5)
    vertices, triangles = grid.patch_mesh(0)
    assert (len(vertices), len(triangles)) == (8 + 8, 4 + 2 + 8)
    np.testing.assert_allclose(
        vertices[-8:-4, :2], [[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.75], [0.25, 0.75]]
    )
    np.testing.assert_allclose(
        vertices[-4:, :2], [[-0.75, -0.75], [0.75, -0.75], [-0.75, 1.25], [0.75, 1.25]]
    )
    assert not vertices[-8:, 2].any()
    areas = area_vectors((vertices, triangles))
    np.testing.assert_allclose(areas[-8:].sum(axis=0), [0, 0, 1.5 * 2.0 - 0.5 * 1.0], atol=1e-6)
    assert (areas[-8:, 2] > 0).all()
    np.testing.assert_allclose(area_vectors(grid.patch_mesh(1)).sum(axis=0), [0, 0, 1.5 * 1.5], atol=1e-6)


def test_file_is_one_terrain_for_all():
    terrain = make([[1.0, 2.0]], (3.0, 4.0))
    grid = build_grid([terrain], "file", 1, 0.5, num_motions=5)
    assert grid.motion_offsets.shape == (5, 1, 2)
    assert not grid.motion_offsets.any()
    np.testing.assert_array_equal(grid.terrain.hf, terrain.hf)
    np.testing.assert_array_equal(grid.terrain.min_point, [3.0, 4.0])


def test_impossible_grids():
    with pytest.raises(ConfigError, match="terrain_build_mode is 'round'"):
        build_grid([make([[0.0]])], "round", 0, 0.5)
    with pytest.raises(ConfigError, match="terrains_per_motion is 2"):
        build_grid([make([[0.0]])], "square", 0, 0.5, terrains_per_motion=2)
    with pytest.raises(DataError, match="no terrain"):
        build_grid([], "square", 0, 0.5)
    with pytest.raises(DataError, match=r"terrain 0: terrain cells are 0.5 m"):
        build_grid([make([[0.0]])], "square", 0, 0.4)
    with pytest.raises(DataError, match=r"walk/b: terrain cells are 0.5 m"):
        build_grid([make([[0.0]]), make([[0.0]])], "square", 0, 0.4, names=["walk/b", "walk/c"])


def test_a_grid_too_large_names_the_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parc_core.terrain.grid._MAX_CELLS", 5)
    terrains = [make([[0.0]]), make([[0.0, 0.0, 0.0]])]
    for mode in ("square", "wide"):
        with pytest.raises(DataError, match=r"because that of run/far is \d x \d; lower max_terrain_dim"):
            build_grid(terrains, mode, 1, 0.5, names=["run/a", "run/far"])


def test_mesh_of_one_step():
    """Two cells, one 1 m high: two quads and the wall between them, which faces the lower cell."""
    vertices, triangles = heightfield_mesh(np.array([[0.0], [1.0]], np.float32), np.array([0.0, 0.0]), 0.4)
    assert vertices.shape == (8, 3)
    assert triangles.shape == (6, 3)
    np.testing.assert_allclose(
        vertices[:4], [[-0.2, -0.2, 0], [-0.2, 0.2, 0], [0.2, 0.2, 0], [0.2, -0.2, 0]], atol=1e-6
    )
    areas = area_vectors((vertices, triangles))
    np.testing.assert_allclose(areas[:4], [[0, 0, 0.08]] * 4, atol=1e-6)
    np.testing.assert_allclose(areas[4:], [[-0.2, 0, 0]] * 2, atol=1e-6)
    wall = vertices[np.unique(triangles[4:])]
    np.testing.assert_allclose(wall[:, 0], 0.2, atol=1e-6)
    assert sorted(wall[:, 2].tolist()) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("rows", "normal"), [([[0.0, 1.0]], (0, -1)), ([[1.0, 0.0]], (0, 1)), ([[1.0], [0.0]], (1, 0))]
)
def test_walls_face_the_lower_cell(rows, normal):
    areas = area_vectors(heightfield_mesh(np.array(rows, np.float32), np.zeros(2), 0.4))
    np.testing.assert_allclose(areas[4:, :2], [np.array(normal) * 0.2] * 2, atol=1e-6)


def test_flat_terrain_is_two_triangles():
    vertices, triangles = heightfield_mesh(np.full((3, 2), 0.3, np.float32), np.zeros(2), 0.4)
    assert (len(vertices), len(triangles)) == (4, 2)
    np.testing.assert_allclose(area_vectors((vertices, triangles)).sum(axis=0), [0, 0, 6 * 0.16], atol=1e-6)


def test_mesh_is_closed_between_neighbours():
    """The areas of all triangles, as vectors, sum to those of a flat plate: no hole, no flipped wall."""
    hf = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    total = area_vectors(heightfield_mesh(hf, np.zeros(2), 0.4)).sum(axis=0)
    # Walls along x add up to the drop between the outer columns of cells.
    drop = np.array([(hf[0] - hf[-1]).sum(), (hf[:, 0] - hf[:, -1]).sum()]) * 0.4
    np.testing.assert_allclose(total, [*drop, 20 * 0.16], atol=1e-4)


def test_terrain_pkl_round_trip(tmp_path):
    grid = build_grid([make([[1.0, 2.0]]), make([[5.0]], (7.0, 7.0))], "wide", 1, 0.5, terrains_per_motion=2)
    path = tmp_path / "terrain.pkl"
    write_terrain_pkl(path, grid)
    with path.open("rb") as file:
        outer = pickle.load(file)  # noqa: S301  as PARC's tools read it
    assert outer["motion_data"] is None
    assert set(pickle.loads(outer["misc_data"])) == {  # noqa: S301
        "terrains_per_motion", "motion_offsets", "all_terrain_verts", "all_terrain_tris",
    }  # fmt: skip
    back = read_terrain_pkl(path)
    assert back.terrains_per_motion == 2
    np.testing.assert_array_equal(back.motion_offsets, grid.motion_offsets)
    np.testing.assert_array_equal(back.terrain.hf, grid.terrain.hf)
    for m in range(2):
        for t in range(2):
            vertices, triangles = grid.patch_mesh(m, t)
            np.testing.assert_array_equal(back.vertices[m][t], vertices)
            np.testing.assert_array_equal(back.triangles[m][t], triangles)


def test_another_file_is_no_terrain_pkl(tmp_path):
    path = tmp_path / "motion.pkl"
    write_motion_terrain(path, MotionTerrain(motion=None, terrain=make([[0.0]])))
    with pytest.raises(DataError, match=r"motion.pkl: misc_data lacks terrains_per_motion"):
        read_terrain_pkl(path)
