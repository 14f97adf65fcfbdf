"""Lookups and padding of one terrain, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_core.errors import ConfigError, DataError
from parc_core.terrain import heightfield
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain
from tests.terrain import lookup


def make(rows, min_point=(0.0, 0.0), dx=0.5, bounds=None):
    return Heightfield(np.array(rows, np.float32), np.array(min_point, np.float32), dx, bounds)


def test_ties_go_to_the_even_cell_and_borders_clamp():
    terrain = make([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]])
    # 0.25 lies between cells 0 and 1, 0.75 between 1 and 2, 1.25 between 2 and 3: to 0, 2, 2.
    points = np.array([[0.25, 0.0], [0.75, 0.0], [1.25, 0.0], [-9.0, 0.25], [9.0, 9.0]], np.float32)
    np.testing.assert_array_equal(
        heightfield.nearest_cell(terrain, points), [[0, 0], [2, 0], [2, 0], [-18, 0], [18, 18]]
    )
    np.testing.assert_array_equal(
        heightfield.grid_index(terrain, points), [[0, 0], [2, 0], [2, 0], [0, 0], [3, 1]]
    )
    np.testing.assert_array_equal(lookup.heights_at(terrain, points), [0.0, 4.0, 4.0, 0.0, 7.0])


def test_pad_by_hand_leaves_the_input_alone():
    bounds = np.stack((np.array([[5.0, 6.0]]), np.array([[-1.0, -2.0]])), axis=-1).astype(np.float32)
    terrain = make([[1.0, 3.0]], min_point=(2.0, -1.0), bounds=bounds)
    padded = lookup.pad(terrain, 1)
    np.testing.assert_array_equal(padded.hf, [[1, 1, 1, 1], [1, 1, 3, 1], [1, 1, 1, 1]])
    np.testing.assert_array_equal(padded.min_point, [1.5, -1.5])
    assert padded.hf_maxmin[0, 0].tolist() == [6.0, -2.0]
    assert padded.hf_maxmin[1, 1].tolist() == [5.0, -1.0]
    np.testing.assert_array_equal(terrain.hf, [[1.0, 3.0]])


@pytest.mark.parametrize(
    ("padding", "dx", "cells"), [(1.2, 0.4, 3), (0.4, 0.4, 1), (0.0, 0.4, 0), (6.0, 0.1, 60)]
)
def test_padding_is_counted_not_truncated(padding, dx, cells):
    assert heightfield.padding_cells(padding, dx) == cells


def test_padding_in_float32_cells():
    assert heightfield.padding_cells(1.2, float(np.float32(0.4))) == 3


@pytest.mark.parametrize("padding", [0.5, -0.4])
def test_padding_that_does_not_fit_is_an_error(padding):
    with pytest.raises(ConfigError, match=r"multiple of the cell size 0.4"):
        heightfield.padding_cells(padding, 0.4)


def test_other_cell_size_is_an_error_that_names_the_file():
    with pytest.raises(DataError, match=r"a.pkl: terrain cells are 0.5 m wide.*0.4"):
        heightfield.check_cell_size(make([[0.0]]), 0.4, "a.pkl")
    with pytest.raises(DataError, match=r"b.pkl"):
        PackedTerrain(
            [make([[0.0]]), make([[0.0]], dx=0.4)],
            torch.device("cpu"),
            horizontal_scale=0.5,
            names=["a.pkl", "b.pkl"],
        )


def test_packed_terrains_keep_their_own_frame_and_border():
    low = make([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    high = make([[10.0], [11.0], [12.0]], min_point=(-4.0, 7.0))
    packed = PackedTerrain([low, high], torch.device("cpu"))
    ids = torch.tensor([1, 0, 1])
    points = torch.tensor([[[-3.5, 7.0], [9.0, 9.0]], [[0.4, 0.6], [-9.0, 9.0]], [[-4.3, 0.0], [-3.25, 7.0]]])
    # last: (-3.25 + 4) / 0.5 = 1.5, a tie, to cell 2
    assert packed.heights_at(ids, points).tolist() == [[11.0, 12.0], [4.0, 2.0], [10.0, 12.0]]
    index = packed.cell_index(ids, points)
    assert index[0].tolist() == [[1, 0], [26, 4]]
    assert packed.cell_center(ids, index)[0].tolist() == [[-3.5, 7.0], [9.0, 9.0]]
    assert packed.num_terrains == 2


def test_packed_agrees_with_numpy_on_random_terrains():
    rng = np.random.default_rng(5)
    terrains = [make(rng.normal(size=rng.integers(1, 9, 2)), rng.normal(size=2), dx=0.4) for _ in range(20)]
    packed = PackedTerrain(terrains, torch.device("cpu"), 0.4)
    points = rng.uniform(-4, 4, (20, 30, 2)).astype(np.float32)
    heights = packed.heights_at(torch.arange(20), torch.from_numpy(points)).numpy()
    for terrain, own_points, own in zip(terrains, points, heights):
        np.testing.assert_array_equal(lookup.heights_at(terrain, own_points), own)
