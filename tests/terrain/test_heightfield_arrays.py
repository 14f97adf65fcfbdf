"""Joined heightfields against the terrains one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_core.errors import DataError
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.heightfield_arrays import HeightfieldArrays
from parc_core.terrain.packed import PackedTerrain
from tests.terrain.lookup import pad


@pytest.fixture
def terrains():
    rng = np.random.default_rng(1)
    return [
        Heightfield(rng.normal(size=size).astype(np.float32), rng.normal(size=2).astype(np.float32), 0.4)
        for size in [(1, 1), (4, 7), (9, 2), (3, 3)]
    ]


def assert_same(flat, expected):
    assert len(flat) == len(expected)
    for found, wanted in zip(flat.heightfields(), expected):
        np.testing.assert_array_equal(found.hf, wanted.hf)
        np.testing.assert_array_equal(found.min_point, wanted.min_point)
        assert found.dx == wanted.dx


@pytest.mark.parametrize("cells", [0, 1, 3])
def test_padding_is_that_of_each_terrain(terrains, cells):
    assert_same(HeightfieldArrays.of(terrains).padded(cells), [pad(t, cells) for t in terrains])


def test_parts_are_joined_in_their_order(terrains):
    parts = [HeightfieldArrays.of(terrains[:1]), HeightfieldArrays.of(terrains[1:])]
    assert_same(HeightfieldArrays.join(parts), terrains)


def test_lowest(terrains):
    assert HeightfieldArrays.of(terrains).lowest.tolist() == [float(t.hf.min()) for t in terrains]


def test_another_cell_size_is_named(terrains):
    terrains[2] = Heightfield(terrains[2].hf, terrains[2].min_point, 0.2)
    with pytest.raises(DataError, match=r"walk: terrain cells are 0\.2 m"):
        HeightfieldArrays.of(terrains).check_cell_sizes(0.4, ["a", "b", "walk", "c"])
    with pytest.raises(DataError, match=r"terrain 2: terrain cells"):
        PackedTerrain(terrains, torch.device("cpu"), 0.4)


def test_flat_and_single_terrains_pack_alike(terrains):
    one, other = (
        PackedTerrain(t, torch.device("cpu"), 0.4) for t in (terrains, HeightfieldArrays.of(terrains))
    )
    for name in ("heights", "start", "dims", "min_point"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_no_terrain_at_all():
    with pytest.raises(DataError, match="no terrain"):
        HeightfieldArrays.of([])
