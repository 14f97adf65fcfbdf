"""`parc-tracker convert` of AMP, AMASS and climbs: the reader is chosen by content, the rest is as for BVH."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from parc_core.config.dataset_config import DatasetConfig
from parc_core.motion.dataset.merge import merge_folders
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.validation import validate
from parc_tracker.main import app
from tests.motion.retarget.amass_files import archive, standing
from tests.motion.retarget.amp_files import poselib_dict, write_amp
from tests.motion.retarget.amp_files import standing as standing_amp
from tests.motion.retarget.climb_files import write_climb
from tests.motion.small_files import RunsCode, write_small


def convert(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def write_amass(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(archive({**standing(120), **changes}))
    return path


def test_a_folder_of_every_source_becomes_a_dataset(tmp_path: Path) -> None:
    write_amp(tmp_path / "in" / "amp" / "amp_humanoid_stand.npy", standing_amp(30))
    write_amass(tmp_path / "in" / "amass" / "stand_poses.npz", marker_data=np.array([None]))
    write_climb(tmp_path / "in" / "climb" / "seq_0")
    write_small(tmp_path / "in" / "own" / "a.pkl")
    assert convert(tmp_path / "in" / "own", "--out", tmp_path / "in" / "npz", "--to", "npz").exit_code == 0
    result = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "5 clips of 5 files (0 rejected, 0 files refused)" in result.output
    frames = {"amp/amp_humanoid_stand": 30, "amass/stand_poses": 30, "own/a": 4, "npz/a": 4}
    for place, count in {**frames, "climb/seq_0/take_joint_positions_f0-360": 90}.items():
        found = read_motion_terrain(tmp_path / "out" / f"{place}.pkl")
        validate(found, place)
        assert found.motion is not None and (found.motion.num_frames, found.motion.fps) == (count, 30)
    merged = merge_folders(
        DatasetConfig([str(tmp_path / "out")]), tmp_path / "set", index_path=tmp_path / "i"
    )
    classes = {motion.motion_class for motion in merged.motions}
    assert len(merged.motions) == 4 and classes >= {"amp", "amass", "climb"}  # own and npz are one motion


def test_climbs_keep_their_boxes_and_are_measured_on_them(tmp_path: Path) -> None:
    write_climb(tmp_path / "climb" / "seq_0")
    result = convert(
        tmp_path / "climb", "--out", tmp_path / "out", "--json", "--max-seconds", 2, "--terrain", "none"
    )
    assert result.exit_code == 0, result.output
    shown = json.loads(result.output)
    assert [clip["verdict"] for clip in shown["clips"]] == ["kept", "kept"]
    assert all(clip["penetration_max_m"] < 0.03 for clip in shown["clips"])
    for part in (1, 2):
        found = read_motion_terrain(
            tmp_path / "out" / "seq_0" / f"take_joint_positions_f0-360_part{part}.pkl"
        )
        assert found.terrain is not None and found.terrain.hf.max() > 0.45
    (tmp_path / "climb" / "seq_0" / "multi_boxes.obj").write_text("f 1 2 3\n")
    result = convert(tmp_path / "climb", "--out", tmp_path / "out2")
    assert result.exit_code == 65 and "multi_boxes.obj: line 1 is no corner or face" in result.output


def test_what_cannot_be_read_is_one_line_each_and_runs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_amp(folder / "evil.npy", standing_amp(), fps=RunsCode(tmp_path / "ran"))
    write_amp(folder / "rate.npy", standing_amp(), fps=0)
    np.save(folder / "array.npy", np.zeros((9, 4)))
    (folder / "cut.npy").write_bytes((folder / "array.npy").read_bytes()[:40])
    write_amass(folder / "rate.npz", mocap_framerate=np.zeros(3))
    write_amass(folder / "far.npz", trans=np.full((120, 3), 1e300))
    write_amp(folder / "good.npy", standing_amp(30))
    result = convert(folder, "--out", tmp_path / "out")
    assert result.exit_code == 65 and not (tmp_path / "ran").exists()
    lines = result.output.splitlines()
    for name, message in {
        "evil.npy": "refused, its pickle asks for",
        "rate.npy": "0 frames per second",
        "array.npy": "an array of shape [9, 4] is not a motion; of .npy files",
        "cut.npy": "corrupt .npy",
        "rate.npz": "fps is an array of shape [3]",
        "far.npz": "",
    }.items():
        assert any(f"{name}: " in line and message in line for line in lines), (name, result.output)
    assert [path.name for path in (tmp_path / "out").rglob("*.pkl")] == ["good.pkl"]


def test_skeletons_of_others_take_units_and_joints(tmp_path: Path) -> None:
    """The humanoid in centimetres, with y up and a knee of another name."""
    value = poselib_dict(np.tile([0.0, 0.0, 0.0, 1.0], (30, 15, 1)), np.tile([0.0, 0, 88.14], (30, 1)))
    tree = value["skeleton_tree"]
    tree["local_translation"]["arr"] *= 100
    tree["node_names"] = [name.replace("left_shin", "joint 13") for name in tree["node_names"]]
    path = tmp_path / "a.npy"
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    result = convert(path, "--out", tmp_path / "out")
    assert result.exit_code == 65 and "no joint found for left_knee" in result.output
    (tmp_path / "skeleton.yaml").write_text("joints: {left_knee: joint 13}\nunits: cm\n")
    result = convert(path, "--out", tmp_path / "out", "--skeleton", tmp_path / "skeleton.yaml")
    assert result.exit_code == 0, result.output
    found = read_motion_terrain(tmp_path / "out" / "a.pkl").motion
    assert found is not None and np.allclose(found.root_pos[:, 2], 0.8814, atol=0.01)


@pytest.mark.parametrize("columns", [63, 75])
def test_other_widths_of_poses_are_refused(tmp_path: Path, columns: int) -> None:
    path = write_amass(tmp_path / "a.npz", poses=np.zeros((120, columns)))
    result = convert(path, "--out", tmp_path / "out")
    assert result.exit_code == 65 and f"poses has shape [120, {columns}]" in result.output
