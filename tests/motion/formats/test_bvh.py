"""The BVH reader: what it makes of a file, and what it says of broken ones."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.errors import DataError
from parc_core.motion.formats.bvh import read_bvh

ARM = """HIERARCHY
ROOT Hips
{
  OFFSET 1 2 3
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Bip01 L Arm
  {
    OFFSET 0 10 0
    CHANNELS 3 Yrotation Xrotation Zrotation
    End Site
    {
      OFFSET 5 0 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0333333
0 0 0 0 0 0 0 0 0
7 8 9 90 0 0 90 0 90
"""


def test_positions_and_rotations_by_hand() -> None:
    found = read_bvh(ARM.encode(), "a.bvh")
    assert found.names == ("Hips", "Bip01 L Arm", "Bip01 L Arm_end") and found.parents.tolist() == [-1, 0, 1]
    assert found.fps == 30.0
    assert found.rest_positions.tolist() == [[1, 2, 3], [1, 12, 3], [6, 12, 3]]
    # Position channels take the place of the offset.
    assert found.positions[0].tolist() == [[0, 0, 0], [0, 10, 0], [5, 10, 0]]
    # Turned about z by 90 degrees up is -x; the arm's three quarter turns together take x to -x.
    assert np.allclose(found.positions[1], [[7, 8, 9], [-3, 8, 9], [-8, 8, 9]])
    half = np.sqrt(0.5)
    assert np.allclose(found.rotations[1, 0], [0, 0, half, half])
    assert np.allclose(found.rotations[1, 1], found.rotations[1, 2])


@pytest.mark.parametrize(
    "text",
    [
        ARM.replace("\n", "\r\n"),
        "\ufeff" + ARM,
        ARM.replace("Frames: 2", "Frames:\t2").replace("Frame Time: ", "Frame Time:\t"),
        ARM.replace("ROOT Hips\n{", "ROOT Hips {").replace("Arm\n  {", "Arm {"),
        ARM.replace("0 0 0 0 0 0 0 0 0\n", "0 0 0 0 0\n0 0 0 0\n\n"),
        ARM.rstrip(),
    ],
)
def test_ways_of_writing_the_same(text: str) -> None:
    want, got = read_bvh(ARM.encode(), "a"), read_bvh(text.encode(), "a")
    assert got.names == want.names and np.array_equal(got.positions, want.positions)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCHIE", "not a BVH file"),
        ("MOTION", "MOVIE", "not a BVH file"),
        ("Frames: 2", "Frames: 3", "Frames says 3 of 9 channels, but 18 numbers follow"),
        ("Frames: 2", "Frames: 0", "Frames says 0 of 9 channels"),
        ("Frames: 2", "Frames: -2", "line 17: 'Frames: COUNT'"),
        ("Frame Time: 0.0333333", "Frame Time: 0", "Frame Time is 0 s"),
        ("Frame Time: 0.0333333", "Frame Time: nan", "Frame Time is nan s"),
        ("7 8 9", "7 x 9", "something else than numbers"),
        ("7 8 9", "7 1_0 9", "something else than numbers"),
        ("7 8 9", "7 nan 9", "frame 1 holds a number that is not finite"),
        ("7 8 9", "7 1e99 9", "frame 1 holds a number"),
        ("OFFSET 0 10 0", "OFFSET 0 ten 0", "line 8: 'ten' is not a number"),
        ("OFFSET 0 10 0", "OFFSET 0 10", "line 9: 'CHANNELS' is not a number"),
        (
            "Yrotation Xrotation Zrotation",
            "Yrotation Xrotation Wrotation",
            "line 9: there is no channel 'Wrotation'",
        ),
        (
            "Yrotation Xrotation Zrotation",
            "Yrotation Xrotation Xrotation",
            "line 9: a channel is named twice",
        ),
        ("CHANNELS 3", "CHANNELS 7", "line 9: '7' channels"),
        ("ROOT Hips", "JOINT Hips", "line 2: 'JOINT' is not expected here"),
        ("  }\n}\nMOTION", "  }\nMOTION", "the skeleton ends early"),
        ("}\nMOTION", "}\nROOT Other\n{\nMOTION", "line 16: a second ROOT"),
    ],
)
def test_broken_files_are_refused_with_their_place(old: str, new: str, message: str) -> None:
    assert old in ARM
    with pytest.raises(DataError) as raised:
        read_bvh(ARM.replace(old, new).encode(), "a.bvh")
    text = str(raised.value)
    assert text.startswith("a.bvh") and message in text and "\n" not in text


def test_bounds() -> None:
    deep = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 0\n" + "JOINT b\n{\nOFFSET 0 0 0\nCHANNELS 0\n" * 300
    with pytest.raises(DataError, match="more than 1000 joints, or 200 inside each other"):
        read_bvh((deep + "MOTION\nFrames: 1\nFrame Time: 1\n1\n").encode(), "a")
    with pytest.raises(DataError, match="takes more than 1 MiB"):
        read_bvh(b"HIERARCHY" + b" " * (1 << 21) + b"MOTION\n", "a")
