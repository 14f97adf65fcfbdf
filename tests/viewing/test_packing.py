"""What is packed comes back, and stays small."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parc_core.viewing.packing import (
    FORCE_STEP,
    HEIGHT_STEP,
    POSITION_STEP,
    ROTATION_STEP,
    pack,
    packed_character,
    packed_scene,
    unpack,
)
from tests.viewing.scenes import DT, humanoid, walking

J = 15


def test_integers_of_any_sign_and_size_come_back():
    values = np.random.default_rng(0).integers(-(2**29), 2**29, (7, 5))
    values[0] = 0
    np.testing.assert_array_equal(unpack(pack(values), 7), values)


def test_numbers_that_are_too_far_apart_are_refused():
    with pytest.raises(ValueError, match="too far apart"):
        pack(np.array([[0], [2**40]]))


def test_a_scene_comes_back_within_its_steps():
    scene = walking()
    packed = packed_scene(scene)
    columns = unpack(packed["data"], packed["times"]["frames"])
    root, rot = columns[:, :3] * POSITION_STEP, columns[:, 3 : 3 + 4 * J] * ROTATION_STEP
    np.testing.assert_allclose(root, scene.figures[0].root_pos, atol=POSITION_STEP)
    same = np.abs((rot.reshape(-1, J, 4) * scene.figures[0].body_rot).sum(-1))
    np.testing.assert_allclose(same, 1.0, atol=1e-3)
    forces = columns[:, 3 + 4 * J : 3 + 7 * J].reshape(-1, J, 3) * FORCE_STEP
    np.testing.assert_allclose(forces, scene.figures[0].forces, atol=FORCE_STEP)
    np.testing.assert_allclose(
        columns[:, -1] * packed["series"][0]["step"], scene.series[0].values, atol=1e-3
    )
    ground = packed["ground"]
    np.testing.assert_allclose(
        unpack(ground["data"], ground["nx"]) * HEIGHT_STEP, scene.cell_height, atol=HEIGHT_STEP
    )


def test_quaternions_that_flip_their_sign_are_made_continuous():
    scene = walking()
    scene.figures[0].body_rot[5:20] *= -1
    packed = packed_scene(scene)
    rot = unpack(packed["data"], packed["times"]["frames"])[:, 3 : 3 + 4 * J]
    assert np.abs(np.diff(rot, axis=0)).max() < 0.1 / ROTATION_STEP


def test_frames_above_the_rate_are_left_out_but_for_the_last():
    packed = packed_scene(walking(frames=40), max_fps=15)
    assert packed["times"] == {"frames": 21, "step": 2 * DT, "end": pytest.approx(39 * DT)}
    assert packed_scene(walking(frames=1))["times"]["frames"] == 1


def test_what_is_not_finite_does_not_break_the_page():
    scene = walking()
    scene.figures[0].root_pos[3] = np.nan
    scene.series[0].values[3] = np.inf
    json.dumps(packed_scene(scene), allow_nan=False)


def test_a_character_has_all_its_shapes():
    character = humanoid()
    packed = packed_character(character, np.zeros((2, 2)))
    assert len(packed["shapes"]) == len(character.geoms)
    assert packed["parents"][0] == -1 and len(packed["offsets"]) == J
