"""Motion-terrain files: real ones, round trips, and every kind of bad one."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.container import (
    motion_terrain_bytes,
    read_misc,
    read_motion_terrain,
    write_motion_terrain,
)
from parc_core.motion.validation import validate
from tests.motion.small_files import (
    RunsCode,
    container,
    motion_dict,
    plain_loads,
    small_clip,
    small_terrain,
    terrain_dict,
    write_small,
)

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
CLIPS = Path(os.environ.get("PARC_CLIPS_DIR") or SHARED / "data" / "motions")
GOLDEN = Path(os.environ.get("PARC_GOLDEN_DIR") or SHARED / "golden") / "files"
PLAIN_NUMPY_1 = np.__version__.startswith("1.")


@pytest.mark.parametrize("folder", [CLIPS, GOLDEN], ids=["clips", "golden"])
def test_real_files_read_and_round_trip(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.rglob("*.pkl"))
    if not files:
        pytest.skip(f"no motion files in {folder} (set PARC_CLIPS_DIR, PARC_GOLDEN_DIR)")
    for file in files:
        mt = read_motion_terrain(file)
        validate(mt, str(file))
        read_misc(mt, allow_torch=True)
        copy = tmp_path / file.name
        write_motion_terrain(copy, mt)
        assert motion_terrain_bytes(read_motion_terrain(copy)) == copy.read_bytes()
        if PLAIN_NUMPY_1 and b"numpy._core" in file.read_bytes():
            continue  # pickle cannot read what NumPy 2 wrote there; our reader can
        ours, theirs = plain_loads(copy.read_bytes()), plain_loads(file.read_bytes())
        assert ours["misc_data"] == theirs["misc_data"]
        for part in ("motion_data", "terrain_data"):
            got, want = plain_loads(ours[part]), plain_loads(theirs[part])
            assert list(got) == list(want)
            for key, value in want.items():
                assert np.array_equal(got[key], value), (file, key)
                assert getattr(got[key], "dtype", None) == getattr(value, "dtype", None) or key == "dx"


def test_reads_what_parc_writes() -> None:
    mt = read_motion_terrain(container(terrain=terrain_dict(dx=np.float32(0.4)), misc={"a": np.arange(3)}))
    validate(mt, "x")
    assert mt.motion is not None and mt.terrain is not None
    assert mt.motion.num_frames == 4 and mt.motion.fps == 30 and mt.motion.loop_mode == "CLAMP"
    assert mt.terrain.hf.tolist() == small_terrain().hf.tolist()
    assert type(mt.terrain.dx) is float and mt.terrain.dx == pytest.approx(0.4)
    assert read_misc(mt)["a"].tolist() == [0, 1, 2]


def test_contacts_may_be_missing() -> None:
    mt = read_motion_terrain(container(motion_dict(body_contacts=None)))
    validate(mt, "x")
    assert mt.motion is not None and mt.motion.body_contacts is None
    assert plain_loads(plain_loads(motion_terrain_bytes(mt))["motion_data"])["body_contacts"] is None


def test_parts_may_be_none(tmp_path: Path) -> None:
    write_motion_terrain(tmp_path / "t.pkl", MotionTerrain(None, small_terrain()))
    mt = read_motion_terrain(tmp_path / "t.pkl")
    assert mt.motion is None and mt.misc is None and read_misc(mt) == {}
    with pytest.raises(DataError, match="holds no motion"):
        validate(mt, "t.pkl")
    write_motion_terrain(tmp_path / "m.pkl", MotionTerrain(small_clip(), None))
    mt = read_motion_terrain(tmp_path / "m.pkl")
    validate(mt, "m.pkl", require_terrain=False)
    with pytest.raises(DataError, match="holds no terrain"):
        validate(mt, "m.pkl")


def test_height_bounds_are_added(tmp_path: Path) -> None:
    write_motion_terrain(tmp_path / "t.pkl", MotionTerrain(None, small_terrain(3, 2)))
    maxmin = plain_loads(plain_loads((tmp_path / "t.pkl").read_bytes())["terrain_data"])["hf_maxmin"]
    assert maxmin.shape == (3, 2, 2)
    assert np.allclose(maxmin[..., 0], 3.5) and np.allclose(maxmin[..., 1], -3.0)  # heights 0 to 0.5


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pkl: no such motion file"):
        read_motion_terrain(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="cannot be read"):
        read_motion_terrain(tmp_path)


def test_corrupt_and_truncated(tmp_path: Path) -> None:
    file = write_small(tmp_path / "clip.pkl")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"clip\.pkl: corrupt pickle"):
        read_motion_terrain(file)


def test_code_does_not_run_in_any_part(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    evil = RunsCode(trap)
    for data in (
        pickle.dumps(evil),
        pickle.dumps({"motion_data": evil, "terrain_data": None, "misc_data": None}),
        container(motion_dict(root_pos=evil)),
        container(terrain=terrain_dict(dx=evil)),
    ):
        with pytest.raises(DataError, match="refused, its pickle asks for"):
            read_motion_terrain(data, "clip.pkl")
    mt = read_motion_terrain(container(misc={"x": evil}))  # unread until asked for
    with pytest.raises(DataError, match="refused"):
        read_misc(mt, allow_torch=True)
    assert not trap.exists()


def test_flat_legacy_layout_is_named() -> None:
    flat = {
        "frames": np.zeros((4, 34), np.float32),
        "contacts": np.zeros((4, 15), np.float32),
        "fps": 30,
        "loop_mode": "CLAMP",
        "terrain": None,
    }
    with pytest.raises(DataError, match=r"old\.pkl: the flat legacy layout of an older PARC release"):
        read_motion_terrain(pickle.dumps(flat), "old.pkl")
    flat["terrain"] = Path("x")  # stands for an object of the old release's own class
    with pytest.raises(DataError, match=r"old\.pkl: the flat legacy layout .*asks for pathlib"):
        read_motion_terrain(pickle.dumps(flat), "old.pkl")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps([1]), "not a motion-terrain file, it holds a list"),
        (pickle.dumps({"a": 1}), r"motion_data is missing \(keys: a\)"),
        (pickle.dumps({"motion_data": {}, "terrain_data": None}), "motion_data is a dict, not bytes"),
        (container(motion_dict(root_rot=None)), "motion_data: root_rot is missing"),
        (container(motion_dict(root_pos=[1.0])), "root_pos is not an array of numbers"),
        (container(motion_dict(root_pos=np.zeros((4, 2)))), r"root_pos has shape \[4, 2\], \[4, 3\]"),
        (container(motion_dict(root_rot=np.zeros((5, 4)))), r"root_rot has shape \[5, 4\], \[4, 4\]"),
        (container(motion_dict(joint_rot=np.zeros((4, 28)))), r"joint_rot has shape \[4, 28\], 3 dim"),
        (container(motion_dict(body_contacts=np.zeros((4, 3)))), r"body_contacts has shape \[4, 3\]"),
        (container(motion_dict(fps="30")), "fps is '30', a number"),
        (container(motion_dict(fps=10**30)), "fps is a whole number of 100 bits, a finite number of reas"),
        (container(motion_dict(fps=1e30)), r"fps is 1e\+30, a finite number of reasonable size"),
        (container(motion_dict(fps=0.3)), r"fps is 0\.3, it must be above 0 and at most 1000"),
        (container(motion_dict(fps=np.full(3, 30))), r"fps is an array of shape \[3\], a number is needed"),
        (container(motion_dict(loop_mode=np.zeros(3))), r"loop_mode is an array of shape \[3\], known are"),
        (container(terrain=terrain_dict(dx=-(10**400))), "dx is a whole number of 1329 bits"),
        (container(motion_dict(loop_mode="REPEAT")), "loop_mode is 'REPEAT', known are CLAMP and WRAP"),
        (container(terrain=terrain_dict(hf=np.zeros(3))), r"hf has shape \[3\], 2 dim"),
        (container(terrain=terrain_dict(min_point=np.zeros(3))), r"min_point has shape \[3\]"),
        (container(terrain=terrain_dict(hf_maxmin=np.zeros((3, 2)))), "hf_maxmin has shape"),
        (container(terrain=terrain_dict(dx=None)), "terrain_data: dx is missing"),
        (container(terrain=terrain_dict(dx=float("nan"))), "dx is nan, a finite number"),
    ],
)
def test_wrong_content_names_file_and_key(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_motion_terrain(data, "clip.pkl")
    assert str(caught.value).startswith("clip.pkl: ") and "\n" not in str(caught.value)


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_motion_terrain(tmp_path / "file" / "clip.pkl", MotionTerrain(small_clip(), None))
