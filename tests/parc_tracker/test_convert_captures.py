"""`parc-tracker convert` of motion capture: files, skeletons, cutting, limits, reports."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.dataset.identity import clip_identity
from parc_core.motion.dataset.merge import merge_folders
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.retarget.measures import METRICS
from parc_core.motion.skeleton import Skeleton, body_positions
from parc_core.motion.validation import validate
from parc_tracker.main import app
from tests.motion.retarget.small_bvh import CHARACTER, bvh_text
from tests.motion.small_files import write_small

BANDAI = PROJECT_ROOT.parent / "shared" / "data" / "bandai_bvh.tar.xz"
N = 40


def convert(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def arms_down(count: int = N) -> dict[tuple[str, str], np.ndarray]:
    wave = 0.5 + 0.4 * np.sin(np.linspace(0, 6, count))
    return {
        ("left_upper_arm", "x"): np.full(count, -1.3),
        ("right_upper_arm", "x"): np.full(count, 1.3),
        ("right_lower_arm", "z"): wave,
    }


def write_take(path: Path, count: int = N, text: str | None = None, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bvh_text(arms_down(count), count, **how) if text is None else text)
    return path


def test_folders_of_takes_become_classes_of_clips_that_a_dataset_takes(tmp_path: Path) -> None:
    write_take(tmp_path / "takes" / "a.bvh")
    write_take(tmp_path / "takes" / "wave" / "b.bvh", 50)
    write_small(tmp_path / "takes" / "own" / "c.pkl")
    result = convert(tmp_path / "takes", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "3 clips of 3 files (0 rejected, 0 files refused)" in result.output
    for place, frames in (("takes/a", 40), ("wave/b", 50), ("own/c", 4)):
        found = read_motion_terrain(tmp_path / "out" / f"{place}.pkl")
        validate(found, place)
        assert found.motion is not None and found.motion.num_frames == frames
    merged = merge_folders(
        DatasetConfig([str(tmp_path / "out")]), tmp_path / "set", index_path=tmp_path / "i"
    )
    assert [motion.name for motion in merged.motions] == ["own/c", "takes/a", "wave/b"]


def test_takes_and_motions_of_one_name_stay_apart(tmp_path: Path) -> None:
    write_take(tmp_path / "in" / "walk" / "a.bvh")
    write_small(tmp_path / "in" / "walk" / "a.pkl")
    assert convert(tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out" / "walk").iterdir()) == ["a.pkl", "a_bvh.pkl"]


def test_long_takes_are_cut_into_equal_pieces(tmp_path: Path) -> None:
    write_take(tmp_path / "long.bvh", 151)
    result = convert(tmp_path / "long.bvh", "--out", tmp_path / "out", "--max-seconds", 2)
    assert result.exit_code == 0, result.output
    names = sorted(path.stem for path in (tmp_path / "out").iterdir())
    assert names == ["long_part1", "long_part2", "long_part3"]
    assert {clip_identity(name) for name in names} == {"long"}
    motions = [read_motion_terrain(tmp_path / "out" / f"{name}.pkl").motion for name in names]
    assert [motion.num_frames for motion in motions if motion] == [51, 51, 51]
    first, second = motions[:2]
    assert first is not None and second is not None
    assert np.array_equal(first.joint_rot[-1], second.joint_rot[0])


def test_pieces_of_an_earlier_conversion_are_named(tmp_path: Path) -> None:
    write_take(tmp_path / "in" / "long.bvh", 151)
    write_take(tmp_path / "in" / "long_part9.bvh")  # a take of its own
    assert convert(tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    again = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert "of this take" not in again.output
    cut = convert(tmp_path / "in", "--out", tmp_path / "out", "--max-seconds", 2, "--json")
    old = tmp_path / "out" / "in" / "long.pkl"
    assert json.loads(cut.stdout)["notes"] == [f"{old}: of an earlier conversion of this take, so remove it"]
    whole = convert(tmp_path / "in", "--out", tmp_path / "out", "--json")
    named = [note.split(":")[0] for note in json.loads(whole.stdout)["notes"]]
    assert named == [str(old.with_name(f"long_part{k}.pkl")) for k in (1, 2, 3)]


def test_endings_in_capitals_are_found_in_folders(tmp_path: Path) -> None:
    write_take(tmp_path / "in" / "a.BVH")
    result = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "in" / "a.pkl").exists()


def test_what_is_no_bvh_by_that_name_is_called_so(tmp_path: Path) -> None:
    result = convert(write_take(tmp_path / "a.bvh", text="hello"), "--out", tmp_path / "out")
    assert result.exit_code == 65
    assert "a.bvh: not a BVH file (HIERARCHY, then MOTION)" in result.output


def test_what_to_do_next_is_said(tmp_path: Path) -> None:
    write_take(tmp_path / "in" / "a.bvh")
    result = convert(tmp_path / "in", "--out", tmp_path / "my motions")
    place = f"'{tmp_path}/my motions'"
    assert f"parc-tracker view {place}" in result.output
    assert f"parc-tracker make-motions --from {place} --mirror --out" in result.output
    assert f"parc-tracker dataset make {place} --out" in result.output


def test_numbers_of_each_clip_as_json_and_csv(tmp_path: Path) -> None:
    write_take(tmp_path / "in" / "a.bvh")
    write_take(tmp_path / "in" / "short.bvh", 10)
    result = convert(tmp_path / "in", "--out", tmp_path / "out", "--json", "--csv", tmp_path / "q.csv")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["kept"] == 1 and found["rejected"] == {"length": 1} and found["refused"] == []
    kept, rejected = found["clips"]
    assert kept["clip"] == "in/a" and kept["verdict"] == "kept" and kept["seconds"] == pytest.approx(1.3)
    assert rejected["reason"] == "it lasts 0.3 s, less than 0.5" and rejected["verdict"] == "rejected"
    assert set(METRICS) < set(kept) and kept["foot_skating_m_s"] < 0.01
    with open(tmp_path / "q.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == ["in/a", "in/short"]
    assert float(rows[0]["penetration_max_m"]) == pytest.approx(kept["penetration_max_m"])
    assert not (tmp_path / "out" / "in" / "short.pkl").exists()


def test_a_glitch_is_rejected_with_its_reason_and_limits_can_be_chosen(tmp_path: Path) -> None:
    place = np.tile([0.0, 0.0, 0.88], (N, 1))
    place[20] += [0.4, 0.0, 0.0]  # one frame in another place
    write_take(tmp_path / "in" / "bad.bvh", place=place)
    write_take(tmp_path / "in" / "good.bvh")
    result = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "rejected for velocity_jump_m_s: 1" in result.output and "more than 10" in result.output
    assert [path.name for path in (tmp_path / "out" / "in").iterdir()] == ["good.pkl"]
    alone = convert(tmp_path / "in" / "bad.bvh", "--out", tmp_path / "none")
    assert alone.exit_code == 65 and "all 1 clips were rejected: bad: velocity_jump_m_s" in alone.output
    generous = convert(
        tmp_path / "in" / "bad.bvh", "--out", tmp_path / "out2", "--limit", "velocity_jump_m_s=1000"
    )
    assert generous.exit_code == 0, generous.output
    again = convert(tmp_path / "in" / "bad.bvh", "--out", tmp_path / "out2")
    assert (
        again.exit_code == 65
        and "bad.pkl: of an earlier conversion; its clip is rejected now" in again.output
    )


def test_unknown_joints_are_named_and_a_skeleton_file_tells_them(tmp_path: Path) -> None:
    text = bvh_text(arms_down(), N).replace("LeftForeArm", "Gizmo").replace("Spine", "Middle")
    write_take(tmp_path / "a.bvh", text=text)
    result = convert(tmp_path / "a.bvh", "--out", tmp_path / "out")
    assert (
        result.exit_code == 65
        and "no joint found for left_elbow; name them in a --skeleton file" in result.output
    )
    (tmp_path / "s.yaml").write_text("joints:\n  left_elbow: Gizmo\nunits: cm\nup: y\n")
    result = convert(tmp_path / "a.bvh", "--out", tmp_path / "out", "--skeleton", tmp_path / "s.yaml")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("joints: {left_elbw: Gizmo}", "there is no role 'left_elbw'; did you mean left_elbow?"),
        ("joint: {}", "joint"),
        ("units: miles", "units"),
        ("up: w", "up"),
        ("- a", "a mapping of keys"),
    ],
)
def test_wrong_skeleton_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    write_take(tmp_path / "a.bvh")
    result = convert(tmp_path / "a.bvh", "--out", tmp_path / "out", "--skeleton", tmp_path / "s.yaml")
    assert result.exit_code == 78, result.output
    assert "s.yaml: " in result.output and message in result.output and result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--units", "0.0005"), 65, "its legs are 0.0416 m long"),
        (("--units", "parsec"), 78, "units"),
        (("--up", "q"), 78, "up"),
        (("--limit", "beauty=1"), 78, "there is no 'beauty'"),
        (("--limit", "jerk_m_s3"), 78, "write NAME=NUMBER"),
        (("--up", "z"), 65, "implausible|velocity|penetration|limit|lasts|upside|skating|legs"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: tuple[str, ...], code: int, message: str) -> None:
    write_take(tmp_path / "a.bvh")
    result = convert(tmp_path / "a.bvh", "--out", tmp_path / "out", *options)
    assert result.exit_code == code, result.output
    assert any(part in result.output for part in message.split("|")), result.output


def test_broken_takes_do_not_stop_the_others(tmp_path: Path) -> None:
    write_take(tmp_path / "in" / "good.bvh")
    write_take(tmp_path / "in" / "cut.bvh", text=bvh_text(arms_down(), N)[:-500])
    write_take(tmp_path / "in" / "empty.bvh", text="")
    result = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 65
    assert "cut.bvh: Frames says 40 of 48 channels, but" in result.output and "empty.bvh: " in result.output
    assert [path.name for path in (tmp_path / "out" / "in").iterdir()] == ["good.pkl"]


@pytest.mark.skipif(not BANDAI.exists(), reason="the Bandai-Namco takes lie beside the project")
@pytest.mark.slow
def test_real_takes(tmp_path: Path) -> None:
    """Some of Bandai-Namco's: feet that stand do not slide, nothing is in the ground, left stays left."""
    wanted = (
        "dataset-1_run_normal_001",
        "dataset-1_bow_active_001",
        "dataset-2_raise-up-left-hand_normal_004",
    )
    with tarfile.open(BANDAI) as archive:
        for member in archive:
            if member.isfile() and Path(member.name).stem in wanted:
                content = archive.extractfile(member)
                assert content is not None
                (tmp_path / Path(member.name).name).write_bytes(content.read())
    takes = sorted(tmp_path.glob("*.bvh"))
    assert len(takes) == len(wanted)
    result = convert(*takes, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    clips = json.loads(result.stdout)["clips"]
    assert len(clips) == len(takes) and not any(clip["reason"] for clip in clips)
    assert all(clip["foot_skating_m_s"] < 0.3 and clip["penetration_max_m"] < 0.01 for clip in clips)
    raised = read_motion_terrain(tmp_path / "out" / f"{wanted[2]}.pkl").motion
    assert raised is not None
    hands = [CHARACTER.body_id(f"{side}_hand") for side in ("left", "right")]
    heights = body_positions(raised, Skeleton.of(CHARACTER))[:, hands, 2].max(axis=0)
    assert heights[0] > 1.5 and heights[1] < 1.2
