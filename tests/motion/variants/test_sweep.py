"""The swept space: balls contain the shapes, and cells near points are those that brute force finds."""

from __future__ import annotations

import numpy as np
import torch

from parc_core.motion.variants.sweep import between_frames, cells_within, near_cells, strides, widened
from parc_core.terrain.heightfield import Heightfield
from tests.motion.variants.step_clip import body, step_clip


def surface(count: int = 400) -> tuple:
    """Points on and in all shapes, body by body, in the bodies' frames: bodies (k,), points (k, 3)."""
    rng = np.random.default_rng(1)
    bodies, points = [], []
    for geom in body().character.geoms:
        direction = rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        if geom.type == "box":
            local = rng.uniform(-1, 1, (count, 3))
            local[np.arange(count), rng.integers(3, size=count)] = rng.choice((-1, 1), count)
            local *= geom.size
        else:
            local = geom.size[0] * direction
            if geom.type == "capsule":
                local[:, 2] += rng.uniform(-geom.size[1], geom.size[1], count)
        quat = np.asarray(geom.quat)
        twice = 2 * np.cross(quat[:3], local)
        points.append(local + quat[3] * twice + np.cross(quat[:3], twice) + np.asarray(geom.pos))
        bodies.append(np.full(count, geom.body))
    return np.concatenate(bodies), np.concatenate(points)


def test_balls_contain_all_shapes():
    cover = body().cover
    bodies, points = surface()
    for place in range(body().character.num_bodies):
        own, mine = cover.bodies == place, points[bodies == place]
        if not own.any():
            assert not len(mine)
            continue
        centers = cover._points.numpy()[own]
        gap = np.linalg.norm(mine[:, None] - centers, axis=-1) - cover.reach[own]
        assert gap.min(axis=1).max() <= 1e-6


def test_nothing_is_lower_than_the_cover():
    clip = step_clip()
    pos, rot = body().forward(clip)
    bodies, points = surface(100)
    from parc_core import rotations

    posed = rotations.quat_rotate(rot[:, bodies], torch.from_numpy(points).float()) + pos[:, bodies]
    cover = body().swept(clip)[..., 2] - body().cover.drop
    assert (posed[..., 2].numpy().min(axis=1) >= cover.min(axis=1) - 1e-5).all()


def test_cells_near_points():
    rng = np.random.default_rng(0)
    terrain = Heightfield(np.zeros((7, 5), np.float32), np.array([-1.0, 0.3], np.float32), 0.4)
    xy = rng.uniform((-1.5, -0.2), (2.0, 2.3), (60, 2))
    distance = rng.uniform(0.0, 0.9, 60)
    pairs = cells_within(terrain, xy, distance)
    found = set(zip(pairs.point.tolist(), pairs.cell.tolist()))
    assert len(found) == len(pairs.point)
    expected = set()
    for k, (point, limit) in enumerate(zip(xy, distance)):
        for i in range(7):
            for j in range(5):
                center = np.array([-1.0 + 0.4 * i, 0.3 + 0.4 * j])
                gap = np.linalg.norm(np.maximum(np.abs(point - center) - 0.2, 0.0))
                if gap < limit:
                    expected.add((k, i * 5 + j))
    assert found == expected
    mask = near_cells(terrain, xy, distance)
    assert mask.sum() == len({cell for _, cell in expected})


def test_fast_points_are_looked_at_between_frames():
    points = np.zeros((3, 1, 3))
    points[:, 0, 0] = [0.0, 0.25, 0.25]
    assert strides(points) == 3
    np.testing.assert_allclose(
        between_frames(points, 3)[:, 0, 0], [0.0, 0.25 / 3, 0.5 / 3, 0.25, 0.25, 0.25, 0.25]
    )


def test_widened_terrain_keeps_what_it_was():
    terrain = Heightfield(
        np.arange(12, dtype=np.float32).reshape(4, 3), np.array([0.0, 0.0], np.float32), 0.4
    )
    wide = widened(terrain, np.array([-0.5, 0.0]), np.array([1.3, 2.0]), 64)
    assert wide.hf.shape == (5, 6)
    np.testing.assert_allclose(wide.min_point, [-0.4, 0.0])
    assert (wide.hf[1:, :3] == terrain.hf).all()
    assert (wide.hf[0, :3] == terrain.hf[0]).all() and (wide.hf[1:, 5] == terrain.hf[:, 2]).all()
    assert widened(terrain, np.array([-9.0, 0.0]), np.array([1.2, 0.8]), 4) is terrain
