"""Warp structs over tensors."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("warp", reason="engine mujoco_warp needs warp-lang (pip install 'parc-tracker[gpu]')")

import warp as wp

from parc_core.engines.mujoco_warp.types import filled, has_field


@wp.struct
class Things:
    places: wp.array[wp.vec3]
    ids: wp.array[wp.int64]
    count: int


wp.init()


def test_fields_are_views_of_the_tensors() -> None:
    places, ids = torch.zeros(2, 3), torch.tensor([4, 5])
    things = filled(Things, places=places, ids=ids, count=2)
    places[1] = torch.tensor([1.0, 2.0, 3.0])
    assert things.places.numpy().tolist() == [[0, 0, 0], [1, 2, 3]]
    assert (things.ids.numpy().tolist(), things.count) == ([4, 5], 2)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(KeyError, match="colour"):
        filled(Things, colour=torch.zeros(2))
    with pytest.raises(RuntimeError, match="int32"):
        filled(Things, ids=torch.zeros(2, dtype=torch.int32))
    with pytest.raises(RuntimeError, match="shape"):
        filled(Things, places=torch.zeros(2, 4))
    assert has_field(Things, "ids")
    assert not has_field(Things, "colour")
