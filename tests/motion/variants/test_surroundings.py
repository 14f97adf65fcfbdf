"""Surroundings: never near the motion, which stays as it is; uneven ground is kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from parc_core import rotations
from parc_core.motion.variants.implausible import ImplausibleError
from parc_core.motion.variants.make import SURROUNDINGS, VariantMaker
from parc_core.motion.variants.surroundings import CLEARANCE, THINGS, even_cells, surround
from parc_core.terrain.heightfield import Heightfield
from tests.motion.variants.step_clip import LEVEL, body, flat, step_clip
from tests.motion.variants.test_sweep import surface

_GRAIN = 0.01  # m: of many surface points one is looked at


def running():
    """The step clip, carried along x at 6 m/s: far apart from frame to frame."""
    clip = step_clip()
    root = clip.root_pos.copy()
    root[:, 0] += np.arange(len(root)) * 0.2 - 9.0
    return replace(clip, root_pos=root)


@pytest.mark.parametrize("clip, cells", [(step_clip(), 16), (running(), 64)])
def test_nothing_is_changed_near_the_motion(clip, cells):
    terrain = flat(cells)
    bodies, points = surface(30)
    pos, rot = body().forward(clip)
    posed = rotations.quat_rotate(rot[:, bodies], torch.from_numpy(points).float()) + pos[:, bodies]
    xy = posed[..., :2].numpy()
    xy = np.concatenate([xy[:-1] + k / 8 * np.diff(xy, axis=0) for k in range(8)]).reshape(-1, 2)
    xy = np.unique(np.round(xy / _GRAIN), axis=0) * _GRAIN
    maker = VariantMaker(body(), clip, terrain)
    kinds = set()
    for number in range(4):
        made = maker.make(SURROUNDINGS, 0, number)
        assert made.clip is clip
        changed = np.argwhere(made.terrain.hf != np.float32(LEVEL))
        centers = made.terrain.min_point + changed * 0.4
        kinds |= {round(float(height), 2) for height in made.terrain.hf[tuple(changed.T)]}
        for center in centers:
            near = xy[slice(*np.searchsorted(xy[:, 0], (center[0] - 0.5, center[0] + 0.5)))]
            gap = np.linalg.norm(np.maximum(np.abs(near - center) - 0.2, 0.0), axis=1)
            assert gap.min(initial=np.inf) >= CLEARANCE - _GRAIN
    assert min(kinds) < LEVEL - 0.2 and max(kinds) > LEVEL + 1.0  # pits and walls


def test_uneven_ground_is_kept():
    terrain = flat(16)
    terrain.hf[2, 3] = 2.0
    made = VariantMaker(body(), step_clip(), terrain).make(SURROUNDINGS, 0, 0)
    place = np.round((np.array([2, 3]) * 0.4 + terrain.min_point - made.terrain.min_point) / 0.4).astype(int)
    around = made.terrain.hf[place[0] - 1 : place[0] + 2, place[1] - 1 : place[1] + 2]
    assert (around == terrain.hf[1:4, 2:5]).all()
    assert not even_cells(terrain)[1:4, 2:5].any() and even_cells(terrain).sum() == 16 * 16 - 9


def test_the_same_seed_gives_the_same_terrain():
    def digest(seed: int, number: int) -> str:
        made = VariantMaker(body(), step_clip(), flat(16)).make(SURROUNDINGS, seed, number)
        return hashlib.sha256(made.terrain.hf.tobytes()).hexdigest()

    assert digest(0, 1) == digest(0, 1)
    assert len({digest(0, 1), digest(0, 2), digest(1, 1)}) == 3


def test_no_room():
    """A terrain at the limit of cells whose free part is uneven everywhere."""
    terrain = flat(64)
    terrain.hf[:] = np.where(np.indices((64, 64)).sum(axis=0) % 2, LEVEL, LEVEL - 0.01)
    with pytest.raises(ImplausibleError, match="no room around the motion"):
        VariantMaker(body(), step_clip(), terrain).make(SURROUNDINGS, 0, 0)


def test_only_free_cells_are_built_on():
    rng = np.random.default_rng(0)
    free = rng.random((20, 20)) < 0.6
    base = rng.normal(size=(20, 20)).astype(np.float32)
    built = surround(Heightfield(base, np.zeros(2, np.float32), 0.4), free, rng)
    assert (built.hf[~free] == base[~free]).all()
    assert 0.1 < (built.hf != base)[free].mean() <= 0.95
    assert set(THINGS) == {"box", "pit", "wall", "platform", "stone"}
