"""AMASS-style archives: which ones they are, and where the joints come to lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parc_core.errors import DataError
from parc_core.motion.formats.npz import array_names
from parc_core.motion.retarget.amass import is_amass, read_amass
from parc_core.motion.retarget.source import SourceMotion
from parc_core.motion.skeleton import rotate
from tests.motion.retarget.amass_files import archive, standing
from tests.motion.small_files import RunsCode


def read(values: dict[str, Any]) -> SourceMotion:
    data = archive(values)
    assert is_amass(array_names(data, "a.npz"))
    return read_amass(data, "a.npz")


def place(motion: SourceMotion, name: str, frame: int = 0) -> np.ndarray:
    return motion.positions[frame, motion.names.index(name)]


@pytest.mark.parametrize("size", [66, 72, 156, 165])
def test_the_t_pose_of_every_model(size: int) -> None:
    motion = read(standing(size=size))
    assert motion.positions.shape == (8, 22, 3) and motion.fps == 120
    assert np.allclose(place(motion, "pelvis"), [0, 0, 0.94], atol=1e-4)
    assert np.allclose(place(motion, "left_ankle")[2], 0.07, atol=1e-3)
    left = place(motion, "left_wrist")
    assert left[1] > 0.6 and abs(left[2] - place(motion, "left_shoulder")[2]) < 0.02
    assert place(motion, "left_foot")[0] > place(motion, "left_ankle")[0] + 0.1
    assert motion.rotations is not None and np.allclose(np.abs(motion.rotations[..., 3]), 1, atol=1e-4)


def test_rotations_by_hand() -> None:
    """A left knee bent by 90 degrees about SMPL's x axis, while the body turns left by 90 degrees about z."""
    values = standing()
    values["poses"][:, 12:15] = [np.pi / 2, 0, 0]
    values["poses"][4:, :3] = [0.5 * np.pi, 0, 0]  # y up to z up alone: z forward becomes -y
    motion = read(values)
    knee, ankle = place(motion, "left_knee"), place(motion, "left_ankle")
    assert np.allclose(ankle - knee, [-0.4, 0.01, 0.045], atol=1e-3)
    ahead = place(motion, "left_foot", 5) - place(motion, "left_ankle", 5)
    toes = place(motion, "right_foot", 5) - place(motion, "right_ankle", 5)
    assert np.allclose(toes, [-0.025, -0.12, -0.05], atol=1e-3) and ahead[2] < -0.1


def test_positions_follow_from_rotations_and_rest() -> None:
    rng = np.random.default_rng(0)
    values = standing()
    values["poses"][:, :66] = rng.normal(scale=0.7, size=(8, 66))
    motion = read(values)
    assert motion.rotations is not None and motion.rest_positions is not None
    for joint in range(1, 22):
        parent = motion.parents[joint]
        bone = motion.rest_positions[joint] - motion.rest_positions[parent]
        reached = motion.positions[:, parent] + rotate(motion.rotations[:, parent], bone)
        assert np.allclose(reached, motion.positions[:, joint], atol=1e-9)


@pytest.mark.parametrize("scale", [0.9, 1.1])
def test_tall_and_short_people_stand_on_the_ground(scale: float) -> None:
    motion = read(standing(scale=scale))
    assert abs(place(motion, "right_ankle")[2] - scale * 0.07) < 2e-3


def test_y_up_is_turned_to_z_up() -> None:
    """Without the turn that stands it up, as other sets of SMPL motions are: facing z there, -y here."""
    values = standing()
    values["poses"][:, :3] = 0
    values["trans"] = np.tile([0.5, 1.0, 2.0], (8, 1))
    motion = read(values)
    assert np.allclose(place(motion, "pelvis"), [0.5, -2.0, 1.0], atol=1e-6)
    toes = place(motion, "right_foot") - place(motion, "right_ankle")
    assert np.allclose(toes, [-0.025, -0.12, -0.05], atol=1e-6)
    head = place(motion, "head") - place(motion, "pelvis")
    assert head[2] > 0.5
    assert motion.rotations is not None and motion.rest_positions is not None
    bone = motion.rest_positions[motion.names.index("left_knee")] - motion.rest_positions[1]
    reached = rotate(motion.rotations[:, 1], bone)
    assert np.allclose(reached, motion.positions[:, 4] - motion.positions[:, 1], atol=1e-9)


def test_newer_keys_and_objects_beside_them(tmp_path: Any) -> None:
    values = standing()
    poses = values.pop("poses")
    del values["mocap_framerate"]
    values.update(root_orient=poses[:, :3], pose_body=poses[:, 3:66], mocap_frame_rate=np.array(60.0))
    values["marker_labels"] = np.array([RunsCode(tmp_path / "ran"), None], dtype=object)
    motion = read(values)
    assert motion.fps == 60 and np.allclose(place(motion, "pelvis"), [0, 0, 0.94], atol=1e-4)
    assert not (tmp_path / "ran").exists()


def test_the_projects_own_archives_are_none() -> None:
    own = {"root_pos", "root_rot", "joint_rot", "fps", "loop_mode"}
    assert not is_amass(frozenset(own)) and not is_amass(frozenset((*own, "poses", "trans")))
    assert not is_amass(frozenset(("poses", "fps"))) and is_amass(frozenset(("poses", "trans")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mocap_framerate": None}, "neither mocap_framerate nor mocap_frame_rate is in it"),
        ({"mocap_framerate": np.zeros(3)}, "fps is an array of shape"),
        ({"mocap_framerate": 0.1}, "fps is 0.1, it must be"),
        ({"poses": np.zeros((8, 63))}, "poses has shape [8, 63]"),
        ({"poses": np.zeros(8)}, "poses has shape [8]"),
        ({"poses": np.zeros((1, 72)), "trans": np.zeros((1, 3))}, "has 1 frame(s)"),
        ({"poses": np.full((8, 72), np.inf)}, "poses holds non-finite numbers"),
        ({"trans": np.zeros((7, 3))}, "trans has shape [7, 3], [8, 3] is needed"),
        ({"trans": np.array([{}], dtype=object)}, "not of plain"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    values = {key: value for key, value in {**standing(), **changes}.items() if value is not None}
    with pytest.raises(DataError) as error:
        read_amass(archive(values), "a.npz")
    assert message in str(error.value) and str(error.value).startswith("a.npz: ")
