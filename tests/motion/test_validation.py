"""What may not be trained on is named with its file and key."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.errors import DataError
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.validation import validate
from tests.motion.small_files import container, motion_dict, small_clip, terrain_dict


def _with(array: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            container(motion_dict(root_pos=_with(small_clip().root_pos, (2, 1), np.nan))),
            r"root_pos holds 1 non-finite number\(s\), the first at \[2, 1\]",
        ),
        (
            container(motion_dict(joint_rot=_with(small_clip().joint_rot, (1, 3, 0), np.inf))),
            r"joint_rot holds 1 non-finite number\(s\), the first at \[1, 3, 0\]",
        ),
        (
            container(motion_dict(root_rot=_with(small_clip().root_rot, (0, 3), 1.1))),
            r"root_rot has non-unit quaternions \(norm off by up to 0\.1\)",
        ),
        (
            container(motion_dict(joint_rot=np.zeros((4, 14, 4), np.float32))),
            "joint_rot has non-unit quaternions",
        ),
        (
            container(motion_dict(joint_rot=small_clip().joint_rot[:, :9], body_contacts=None)),
            r"joint_rot has shape \[4, 9, 4\], \[4, 14, 4\] is needed",
        ),
        (
            container(motion_dict(body_contacts=np.full((4, 15), 2.0, np.float32))),
            r"body_contacts range from 2 to 2, not within \[0, 1\]",
        ),
        (container(motion_dict(fps=0)), "fps is 0"),
        (
            container(
                motion_dict(
                    root_pos=np.zeros((1, 3)),
                    root_rot=np.array([[0.0, 0, 0, 1]]),
                    joint_rot=np.tile([0.0, 0, 0, 1], (1, 14, 1)),
                    body_contacts=None,
                )
            ),
            r"root_pos has 1 frame\(s\), a motion needs at least 2",
        ),
        (container(terrain=terrain_dict(hf=np.full((2, 2), np.nan), hf_maxmin=None)), "hf holds 4 non-fin"),
        (container(terrain=terrain_dict(hf=np.zeros((0, 2)), hf_maxmin=None)), "hf is empty"),
        (
            container(terrain=terrain_dict(hf=np.zeros((1, 1)), hf_maxmin=np.full((1, 1, 2), np.nan))),
            "hf_maxmin holds 2 non-finite",
        ),
        (container(terrain=terrain_dict(dx=-0.4)), r"dx is -0\.4, it must be above 0"),
    ],
)
def test_validate_names_file_and_key(data: bytes, message: str) -> None:
    mt = read_motion_terrain(data, "clip.pkl")
    with pytest.raises(DataError, match=message) as caught:
        validate(mt, "clip.pkl")
    assert str(caught.value).startswith("clip.pkl: ")


def test_other_characters_have_other_bodies() -> None:
    mt = read_motion_terrain(
        container(motion_dict(joint_rot=small_clip().joint_rot[:, :9], body_contacts=None))
    )
    validate(mt, "clip.pkl", num_bodies=10)
