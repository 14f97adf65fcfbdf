"""Golden file 04: terrain lookups with ties and points out of bounds, and padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_core.envs import observations
from parc_core.terrain import heightfield
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain
from tests.terrain import lookup


@pytest.fixture(scope="module")
def golden(golden_dir):
    path = golden_dir / "04_terrain_points.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return np.load(path)


@pytest.fixture(scope="module")
def terrains(golden):
    """Name of the terrain -> (Heightfield, its golden arrays)."""
    names = sorted({key.split("/")[0] for key in golden.files if "/" in key})
    assert names, "04_terrain_points.npz names no terrain"
    found = {}
    for name in names:
        arrays = {key.split("/", 1)[1]: golden[key] for key in golden.files if key.startswith(name + "/")}
        found[name] = (
            Heightfield(arrays["hf"], arrays["min_point"], float(arrays["dxdy"][0]), arrays["hf_maxmin"]),
            arrays,
        )
    return found


def test_lookup_in_numpy(terrains):
    for terrain, want in terrains.values():
        points = want["points"]
        nearest = heightfield.nearest_cell(terrain, points)
        np.testing.assert_array_equal(nearest, want["grid_index_unclamped"])
        index = heightfield.grid_index(terrain, points)
        np.testing.assert_array_equal(index, want["grid_index"])
        np.testing.assert_array_equal(lookup.heights_at(terrain, points), want["hf_val"])
        np.testing.assert_allclose(lookup.cell_center(terrain, nearest), want["rounded_point"], atol=1e-5)
        np.testing.assert_allclose(lookup.cell_center(terrain, index), want["xyz_point"][:, :2], atol=1e-5)
        np.testing.assert_array_equal(lookup.heights_at(terrain, points), want["xyz_point"][:, 2])


def test_lookup_packed(terrains):
    """All terrains in one tensor, every environment in its own."""
    packed = PackedTerrain([terrain for terrain, _ in terrains.values()], torch.device("cpu"))
    for row, (_, want) in enumerate(terrains.values()):
        ids = torch.tensor([row])
        points = torch.from_numpy(want["points"])[None]
        index = packed.cell_index(ids, points)
        np.testing.assert_array_equal(index[0].numpy(), want["grid_index_unclamped"])
        np.testing.assert_array_equal(packed.heights_at(ids, points)[0].numpy(), want["hf_val"])
        np.testing.assert_allclose(
            packed.cell_center(ids, index)[0].numpy(), want["rounded_point"], atol=1e-5
        )


def test_height_observation(golden, terrains):
    """Rays turned by the heading, heights relative to the root, clamped to ±3 m."""
    rays = golden["ray_xy_points"]
    for terrain, want in terrains.values():
        packed = PackedTerrain([terrain], torch.device("cpu"))
        root, heading = want["obs_root_pos"], want["obs_heading"][:, None]
        c, s = np.cos(heading), np.sin(heading)
        turned = np.stack((c * rays[:, 0] - s * rays[:, 1], s * rays[:, 0] + c * rays[:, 1]), axis=-1)
        points = torch.from_numpy(turned + root[:, None, :2])
        heights = packed.heights_at(torch.zeros(len(root), dtype=torch.long), points).numpy()
        got = np.clip(heights - root[:, 2:], -3.0, 3.0)
        # A ray point within float rounding of a cell border may fall to either side.
        off = np.abs(got - want["obs_hf"]) > 1e-5
        assert off.mean() < 2e-3


def test_padding(terrains):
    for terrain, want in terrains.values():
        padded = lookup.pad(terrain, 1)
        np.testing.assert_array_equal(padded.hf, want["pad1_hf"])
        np.testing.assert_array_equal(padded.hf_maxmin, want["pad1_maxmin"])
        np.testing.assert_allclose(padded.min_point, want["pad1_min_point"], atol=1e-6)
        assert padded.hf.shape == tuple(want["pad1_dims"]) == want["pad1_mask"].shape


def test_ray_points(golden):
    """`ray_params`: spacing, points behind and ahead, rays left and right, angle between them."""
    dx, behind, ahead, left, right, angle = golden["ray_params"].tolist()
    rays = observations.ray_points(dx, int(left), int(right), angle, int(behind), int(ahead))
    np.testing.assert_allclose(rays.numpy(), golden["ray_xy_points"], atol=1e-5)


def test_extent(terrains):
    for terrain, want in terrains.values():
        assert terrain.hf.shape == tuple(want["dims"])
        last = np.array([[n - 1 for n in terrain.hf.shape]])
        np.testing.assert_allclose(lookup.cell_center(terrain, last)[0], want["max_point"], atol=1e-5)
