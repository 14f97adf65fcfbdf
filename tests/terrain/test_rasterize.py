"""Boxes as meshes, and as terrain of flat cells under a motion."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.errors import DataError
from parc_core.terrain.heightfield import grid_index
from parc_core.terrain.obj import MAX_BYTES, Triangles, merged, read_obj
from parc_core.terrain.rasterize import cells_of, sample_tops

NOWHERE = np.zeros((0, 2))
NO_POINTS = np.zeros((0, 3))


def box_obj(low: tuple[float, float, float], high: tuple[float, float, float]) -> bytes:
    """A box of quads, as modelling tools write one."""
    x, y, z = zip(low, high)
    corners = [(x[i], y[j], z[k]) for k in (0, 1) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    sides = ("1 4 3 2", "5//1 6//1 7//1 8//1", "1 2 6 5", "2/1/1 3/2/1 7/3/1 6/4/1", "3 4 8 7", "-5 -8 -4 -1")
    lines = ["# a box", "o box", *(f"v {a} {b} {c}" for a, b, c in corners), "vn 0 0 1", "usemtl wood"]
    return "\n".join([*lines, *(f"f {side}" for side in sides)]).encode()


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Triangles:
    return read_obj(box_obj(low, high), "box.obj")


def test_a_mesh_of_quads_and_its_bounds() -> None:
    mesh = merged([box((0, 0, 0), (1, 2, 0.5)), box((3, 0, 0), (4, 1, 1))])
    assert mesh.vertices.shape == (16, 3) and mesh.faces.shape == (24, 3)
    assert mesh.faces[12:].min() == 8 and mesh.faces.max() == 15
    corners = mesh.vertices[mesh.faces]
    area = 0.5 * np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    assert area[:12].sum() == pytest.approx(2 * (2 + 0.5 + 1)) and area[12:].sum() == pytest.approx(6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"v 0 0 x\n", "line 1 is no corner or face"),
        (b"v 0 0\nf 1 1 1\n", "line 1 is no corner or face"),
        (b"v 0 0 0\nf 1 2 3\n", "line 2 is no corner or face"),
        (b"v 0 0 0\nf 1 1\n", "line 2 is no corner or face"),
        (b"v 0 0 0\nf 1 1 -2\n", "line 2 is no corner or face"),
        (b"v 0 0 nan\nf 1 1 1\n", "not finite"),
        (b"v 0 0 1e300\nf 1 1 1\n", "not finite"),
        (b"\x00\xff", "holds no faces"),
        (bytes(MAX_BYTES + 1), "at most 4 are read"),
        (b"v 0 0 0\nf " + b"1 " * 2000, "line 2 is no corner or face"),
    ],
)
def test_broken_meshes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_obj(data, "a.obj")


def test_cells_that_fit_a_box_are_exact() -> None:
    """1.2 x 0.8 m at an odd place: cells of 0.4 m can lie along its edges, up to a step of the search."""
    low = np.array([0.37, -0.61])
    mesh = box((low[0], low[1], 0), (low[0] + 1.2, low[1] + 0.8, 0.6))
    samples = sample_tops(mesh, np.array([-1.13, -2.11]), np.array([3.0, 2.0]), 0.4, 0.0)
    terrain = cells_of(samples, 0.4, NOWHERE, NO_POINTS)
    assert sorted(np.unique(terrain.hf)) == [0.0, np.float32(0.6)]
    raised = np.argwhere(terrain.hf > 0.5)
    assert len(raised) == 6
    corner = terrain.min_point + 0.4 * raised.min(axis=0) - 0.2
    assert np.abs(corner - low).max() <= 0.025 + 1e-6


def test_a_ramp_becomes_steps_and_overhangs_their_tops() -> None:
    ramp = Triangles(
        np.array([[0, 0, 0], [4, 0, 1], [4, 2, 1], [0, 2, 0]], float), np.array([[0, 1, 2], [0, 2, 3]])
    )
    samples = sample_tops(ramp, np.array([0.0, 0.0]), np.array([4.4, 2.0]), 0.4, 0.0)
    heights = cells_of(samples, 0.4, NOWHERE, NO_POINTS).hf
    assert np.allclose(np.diff(heights[:9, 2]), 0.1, atol=1e-6)
    lid = box((0, 0, 1.0), (4, 2, 1.1))
    lidded = sample_tops(merged([ramp, lid]), np.array([0.0, 0.0]), np.array([4.0, 2.0]), 0.4, 0.0)
    assert np.allclose(lidded.heights, 1.1)


def test_where_the_motion_stands_counts_more_than_volume() -> None:
    """A beam narrower than two cells: most of it would be lost; feet at both of its edges keep both rows."""
    mesh = box((0, 0, 0), (2, 0.7, 0.5))
    samples = sample_tops(mesh, np.array([-1.2, -1.2]), np.array([3.2, 2.0]), 0.4, 0.0)
    feet = np.array([[1.0, 0.05], [1.0, 0.65]])
    terrain = cells_of(samples, 0.4, feet, NO_POINTS)
    index = grid_index(terrain, feet)
    assert np.allclose(terrain.hf[index[:, 0], index[:, 1]], 0.5)
    beside = np.array([[1.0, -0.08, 0.1]])  # a shin before the beam
    terrain = cells_of(samples, 0.4, feet[1:], beside)
    index = grid_index(terrain, beside[:, :2])
    assert terrain.hf[index[0, 0], index[0, 1]] == 0


def test_what_costs_too_much_is_refused() -> None:
    mesh = box((0, 0, 0), (1, 1, 1))
    with pytest.raises(DataError, match="more than 250000 cells"):
        sample_tops(mesh, np.zeros(2), np.full(2, 900.0), 0.4, 0.0)
    many = Triangles(np.array([[0, 0, 0], [90, 0, 0], [0, 90, 1]], float), np.tile([[0, 1, 2]], (5000, 1)))
    with pytest.raises(DataError, match="more triangles"):
        sample_tops(many, np.zeros(2), np.full(2, 90.0), 0.4, 0.0)
    tiny = Triangles(many.vertices * 1e-4, np.tile([[0, 1, 2]], (20_001, 1)))
    with pytest.raises(DataError, match="more triangles"):
        sample_tops(tiny, np.zeros(2), np.full(2, 2.0), 0.4, 0.0)
