"""Joint positions with boxes beside them: how they are told, and the terrain that is made of the boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parc_core.errors import DataError
from parc_core.motion.formats.npy import read_npy
from parc_core.motion.retarget.climbs import JOINTS, boxes_beside, climb_terrain, is_positions, read_positions
from parc_core.motion.retarget.mapping import map_joints
from parc_core.motion.retarget.result import RetargetedMotion, RetargetOptions
from parc_core.motion.retarget.retarget import Retargeter
from parc_core.motion.skeleton import Skeleton, body_positions
from parc_core.terrain.heightfield import Heightfield, grid_index
from parc_core.terrain.obj import read_obj
from tests.motion.retarget.climb_files import BOX, PLACES, box_obj, climb, standing_body, write_climb
from tests.motion.retarget.test_hands import humanoid


def test_joints_and_their_parts(tmp_path: Path) -> None:
    source = read_positions(read_npy(write_climb(tmp_path / "a").read_bytes(), "a"), "a")
    source.check("a")
    assert source.fps == 120 and source.positions.shape == (360, 53, 3)
    names = [name for name, _ in JOINTS]
    assert names[8] == "LeftHand" and names[46] == "LeftToeBase" and names[50] == "RightToeBase"
    found = map_joints(source.names, source.parents, "a")
    wanted = {
        "pelvis": "Hips",
        "left_knee": "LeftLeg",
        "right_toe": "RightToeBase",
        "left_shoulder": "LeftArm",
    }
    for role, name in {**wanted, "right_wrist": "RightHand", "head": "Head"}.items():
        assert source.names[found[role]] == name


def test_other_arrays_are_none() -> None:
    assert is_positions(np.zeros((2, 53, 3), np.float32))
    for other in (np.zeros((2, 22, 3)), np.zeros((2, 53, 3), int), np.zeros((53, 3)), {"rotation": 1}, None):
        assert not is_positions(other)
    with pytest.raises(DataError, match="holds non-finite"):
        read_positions(np.full((2, 53, 3), np.nan), "a")
    with pytest.raises(DataError, match="1 frame"):
        read_positions(np.zeros((1, 53, 3)), "a")


def test_the_box_lies_where_the_motion_stands_on_it(tmp_path: Path) -> None:
    boxes = boxes_beside(write_climb(tmp_path / "a"))
    assert boxes is not None
    terrain = climb_terrain(read_positions(climb(), "a"), boxes, "a")
    assert terrain.dx == 0.4 and sorted(np.unique(terrain.hf)) == [0.0, 0.5]
    assert (terrain.hf > 0).sum() == 9
    corner = terrain.min_point + 0.4 * np.argwhere(terrain.hf > 0).min(axis=0) - 0.2
    assert np.abs(corner - BOX[0][:2]).max() < 0.05  # a step of the search
    for place in PLACES:
        i, j = grid_index(terrain, np.array(place[:2]))
        assert terrain.hf[i, j] == place[2]
    high = terrain.min_point + 0.4 * (np.array(terrain.hf.shape) - 1)
    assert (terrain.min_point < [-2.3, -1.9]).all() and (high > [2.4, 1.9]).all()


def test_boxes_of_several_files_and_none(tmp_path: Path) -> None:
    path = write_climb(tmp_path / "a")
    (tmp_path / "a" / "multi_boxes.obj").rename(tmp_path / "a" / "kept.txt")
    assert boxes_beside(path) is None
    (tmp_path / "a" / "box_models").mkdir()
    for number in (1, 2):
        low, high = (number, 0.0, 0.0), (number + 0.5, 1.0, 0.2 * number)
        (tmp_path / "a" / "box_models" / f"box{number}.obj").write_text(box_obj(low, high))
    boxes = boxes_beside(path)
    assert boxes is not None and boxes.vertices.shape == (16, 3) and boxes.vertices[:, 2].max() == 0.4
    many = "v 0 0 0\n" + "f 1 1 1\n" * 15_000
    for number in (3, 4):
        (tmp_path / "a" / "box_models" / f"box{number}.obj").write_text(many)
    with pytest.raises(DataError, match="more than 20000 triangles; simplify them"):
        boxes_beside(path)
    (tmp_path / "a" / "box_models" / "box2.obj").write_text("v 1 2\n")
    with pytest.raises(DataError, match=r"box2\.obj: line 1"):
        boxes_beside(path)


def test_a_path_too_long_is_refused() -> None:
    positions = climb(0.1)
    positions[5:] += 900.0
    boxes = read_obj(box_obj(*BOX).encode(), "box")
    with pytest.raises(DataError, match="take: a terrain of 906 x 906 m"):
        climb_terrain(read_positions(positions, "take"), boxes, "take", 0.4)


def wall_from(x: float, height: float) -> Heightfield:
    """Level ground, and a block with its wall at `x`."""
    hf = np.zeros((20, 20), np.float32)
    hf[10:] = height
    return Heightfield(hf, np.array([x - 9.5 * 0.4, -4.0], np.float32), 0.4)


def stand(x: float, z: float) -> RetargetedMotion:
    """Stands for a second, 10 cm before or behind the wall's edge."""
    source = read_positions(np.tile(standing_body() + np.array([x, 0, z]), (120, 1, 1)), "a")
    retargeter = Retargeter(humanoid(), RetargetOptions(scale=1.0, contact_height=0.06, hold=True))
    return retargeter.retarget(
        source, map_joints(source.names, source.parents, "a"), wall_from(0.0, 0.6), "a"
    )


def test_toes_at_a_wall_lift_nobody_onto_it() -> None:
    """The toes' points lie a few cm inside the block: who stands before it is neither raised nor has no ground."""
    found = stand(-0.1, 0.0)
    assert abs(found.shift[2]) < 0.05
    feet = body_positions(found.clip, Skeleton.of(humanoid()))[:, [11, 14]]
    assert np.allclose(feet[..., 2], 0.05, atol=0.02)
    assert found.clip.body_contacts is not None and found.clip.body_contacts[:, [11, 14]].all()


def test_heels_over_an_edge_pull_nobody_down() -> None:
    """Toes on the block, heels in the air behind its edge."""
    found = stand(-0.03, 0.6)
    assert abs(found.shift[2]) < 0.05
    feet = body_positions(found.clip, Skeleton.of(humanoid()))[:, [11, 14]]
    assert np.allclose(feet[..., 2], 0.65, atol=0.02)
