"""Small pickles that would take for ever: each is one clear error, at once."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.errors import DataError
from parc_core.motion.dataset.file_index import inspect
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.formats.legacy import read_any
from parc_core.motion.formats.pickle_values import plain
from parc_core.motion.formats.terrain_grid import read_terrain_pkl
from tests.motion.small_files import container, motion_dict, terrain_dict


def nested(times: int = 60) -> Any:
    """A tuple of two equal tuples, and so on: hashing, printing or counting it takes 2^times steps."""
    value: Any = (1, 2)
    for _ in range(times):
        value = (value, value)
    return value


def lists(times: int = 30) -> Any:
    value: Any = [1.0, 2.0]
    for _ in range(times):
        value = [value, value]
    return value


def looped() -> Any:
    value: list[Any] = [1.0]
    value.append(value)
    return value


class Key:
    """Pickled as a dictionary with a key that cannot be hashed in time: written opcode by opcode."""

    DATA = b"\x80\x04}(K\x01" + b"2\x86" * 60 + b"K\x02u."
    IN_SET = b"\x80\x04\x8f(K\x01" + b"2\x86" * 60 + b"\x90."
    FROZEN = b"\x80\x04(K\x01" + b"2\x86" * 60 + b"\x91."
    OLD = b"\x80\x02}K\x01" + b"2\x86" * 60 + b"K\x02s."
    MARKED = b"(I1\n" + b"2\x86" * 60 + b"I2\nd."
    ORDERED = b"\x80\x02ccollections\nOrderedDict\n]K\x01" + b"2\x86" * 60 + b"K\x02\x86a\x85R."


@pytest.mark.parametrize("data", [Key.DATA, Key.IN_SET, Key.FROZEN, Key.OLD, Key.MARKED, Key.ORDERED])
def test_keys_that_take_for_ever_to_hash(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^x: corrupt pickle \(a key that is a large or deep tuple"):
        safe_pickle.loads(data, "x", allow_torch=True)


def test_usual_keys_are_read() -> None:
    value = {"a": 1, b"b": 2, 3: 4, (1, "x", (2.5, None)): 5, None: 6, True: 7}
    for protocol in range(6):
        data = pickle.dumps(
            [value, {1, "x"}, frozenset({(1, 2)}), 1j, bytearray(b"xy"), b""], protocol=protocol
        )
        assert safe_pickle.loads(data, "x") == [
            value,
            {1, "x"},
            frozenset({(1, 2)}),
            1j,
            bytearray(b"xy"),
            b"",
        ]


SLOW = [nested(), lists(), looped(), 10**6000, -(2**70), [1], "x" * 10**6, b"x" * 10**6]


@pytest.mark.parametrize("value", SLOW, ids=[str(number) for number in range(len(SLOW))])
@pytest.mark.parametrize("key", ["fps", "loop_mode", "dx", "root_pos", "hf_maxmin", "frames"])
def test_values_that_take_for_ever_to_print(key: str, value: Any) -> None:
    if key == "frames":
        kinematics = Kinematics(load_character(resolve("data/assets/humanoid.xml")))
        data = pickle.dumps({"frames": value, "fps": 30, "loop_mode": "CLAMP"})
        with pytest.raises(DataError, match=r"^x: ") as caught:
            read_any(data, "x", kinematics, 28)
    else:
        made = terrain_dict if key in ("dx", "hf_maxmin") else motion_dict
        parts = {"terrain" if made is terrain_dict else "motion": made(**{key: value})}
        with pytest.raises(DataError, match=rf"^x: (motion|terrain)_data: .*{key}") as caught:
            read_motion_terrain(container(**parts), "x")
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", SLOW[:3], ids=["tuples", "lists", "loop"])
def test_flat_files_with_such_values(value: Any) -> None:
    kinematics = Kinematics(load_character(resolve("data/assets/humanoid.xml")))
    good = {"frames": np.zeros((5, 34)), "fps": 30, "loop_mode": 0}
    for key in ("fps", "loop_mode", "contacts", "terrain", "body_names"):
        with pytest.raises(DataError, match=r"^x: "):
            read_any(pickle.dumps({**good, key: value}), "x", kinematics, 28)


def test_misc_data_with_shared_and_looped_values_is_copied_once() -> None:
    shared = lists(100)
    loop = looped()
    copied = plain({"a": shared, "b": (loop, np.float32(0.5))})
    assert copied["a"][0] is copied["a"][1] and copied["b"][0][1] is copied["b"][0]
    assert type(copied["b"][1]) is float
    assert len(safe_pickle.dumps(copied)) < 10_000


def test_a_grid_with_such_values(tmp_path: Path) -> None:
    for key in ("terrains_per_motion", "motion_offsets"):
        misc = {"terrains_per_motion": 1, "motion_offsets": np.zeros((1, 1, 2)), key: lists()}
        (tmp_path / "terrain.pkl").write_bytes(container(misc=misc))
        with pytest.raises(DataError, match=rf"terrain\.pkl: {key}"):
            read_terrain_pkl(tmp_path / "terrain.pkl")


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04" + b"N0" * 500_000 + b".",  # steps
        b"\x80\x04" + b"K\x01" + b"\x85" * 5000 + b".",  # depth
        b"L" + b"9" * 1_000_000 + b"L\n.",  # digits
        b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",  # bytes that are not there
        b"\x80\x02cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.",  # bytes by their number
        b"\x80\x02cnumpy\nndarray\n(" + b"K\x01" * 1000 + b"tR.",  # arguments
    ],
    ids=["steps", "depth", "digits", "length", "number", "arguments"],
)
def test_more_than_the_size_allows(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^x: corrupt pickle \(.*\); replace the file$"):
        safe_pickle.loads(data, "x")


def test_a_hostile_file_is_an_answer_of_the_merge(tmp_path: Path) -> None:
    for number, data in enumerate(
        (Key.DATA, container(motion_dict(fps=nested())), container(misc=[lists()] * 3))
    ):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(data)
        assert (inspect(str(path), 15).error is not None) == (number < 2)


def test_python_2_wrote_arrays_as_text() -> None:
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x02\x01\xfetb."
    )
    assert safe_pickle.loads(data, "x").tolist() == [1, 254]
