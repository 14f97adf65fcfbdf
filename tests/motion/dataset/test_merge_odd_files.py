"""Merging what the world's folders hold: odd names, odd files, slips of whoever wrote them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parc_core.errors import ConfigError
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.dataset.merge import merge_folders
from parc_core.motion.dataset.merge_result import read_merge_result, write_merge_result
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.terrain.heightfield import Heightfield
from tests.motion.dataset.merging import config, names, own_folder, reasons
from tests.motion.small_files import container, motion_dict, small_clip, terrain_dict, write_small

__all__ = ["own_folder"]


def test_names_that_are_not_utf8_stop_nothing(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_small(root / "run" / "good.pkl")
    odd_class = os.fsencode(root) + b"/l\xe4uft"
    os.mkdir(odd_class)
    for number, name in enumerate((b"\xff.pkl", b"zwei\n.pkl", b"ok.pkl")):
        data = write_small(tmp_path / "x.pkl", height=0.8 + number / 100).read_bytes()
        with open(odd_class + b"/" + name, "wb") as file:
            file.write(data)
    with open(odd_class + b"/\xfe.pkl", "wb") as file:
        file.write(b"no motion")
    result = merge_folders(config(root), tmp_path / "out")
    assert result.classes == ["l%E4uft", "run"]
    assert names(result) == ["l%E4uft/%FF", "l%E4uft/ok", "l%E4uft/zwei%0A", "run/good"]
    assert [Path(item.path).name for item in result.rejected] == ["%FE.pkl"]
    assert all(result.path_of(motion).is_file() for motion in result.motions)
    write_merge_result(tmp_path / "merge.json", result)
    assert read_merge_result(tmp_path / "merge.json").motions == result.motions
    assert merge_folders(config(root), tmp_path / "out").num_read == 0


def test_long_names_are_cut_by_bytes_and_stay_unique(tmp_path: Path) -> None:
    root = tmp_path / "in"
    classes = ["跑" * 40 + "甲", "跑" * 40 + "乙"]
    for number, name in enumerate(classes):
        write_small(root / name / ("步" * 70 + ".pkl"), height=0.8 + number / 100)
    result = merge_folders(config(root), tmp_path / "out")
    assert len({motion.file for motion in result.motions}) == 2 == len(set(names(result)))
    for motion in result.motions:
        assert len(os.fsencode(motion.file)) < 200 and result.path_of(motion).is_file()


def test_pipes_sockets_and_devices_do_not_hang(tmp_path: Path) -> None:
    root = tmp_path / "in" / "run"
    write_small(root / "good.pkl")
    os.mkfifo(root / "pipe.pkl")
    (root / "zero.pkl").symlink_to("/dev/zero")
    (root / "folder.pkl").symlink_to(tmp_path)
    with open(root / "sparse.pkl", "wb") as file:
        file.truncate(1 << 40)
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert names(result) == ["run/good"]
    told = reasons(result)
    assert told["pipe.pkl"] == "cannot be read (it is a named pipe, not a file)"
    assert told["sparse.pkl"] == "cannot be read (it has 1024.0 GB, at most 4 are read)"
    assert told["zero.pkl"] == "cannot be read (it is a device, not a file)"


def test_odd_numbers_of_frames_per_second(tmp_path: Path) -> None:
    """29.97 is resampled and said, beyond int64 is refused; neither stops the others."""
    root = tmp_path / "in" / "run"
    write_small(root / "good.pkl")
    (root / "ntsc.pkl").write_bytes(container(motion_dict(fps=29.97)))
    (root / "huge.pkl").write_bytes(container(motion_dict(fps=2**70)))
    (root / "wide.pkl").write_bytes(container(terrain=terrain_dict(dx=-(2**70))))
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert {m.name: m.facts.fps for m in result.motions} == {"run/good": 30, "run/ntsc": 30}
    assert set(reasons(result)) == {"huge.pkl", "wide.pkl"}
    assert any("ntsc.pkl: resampled from 29.97 to 30 frames" in line for line in result.remarks())


def test_a_misspelt_class_to_halve_is_told(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "running" / "a.pkl")
    settings = config(
        tmp_path / "in", cut_some_classes_in_half=True, motion_classes_to_cut_in_half=["runing"]
    )
    with pytest.raises(ConfigError, match=r"no class 'runing' in the folders; did you mean 'running'\?"):
        merge_folders(settings, tmp_path / "out")


def _slips() -> dict[str, MotionClip]:
    clip = small_clip()
    bent = clip.joint_rot.copy()
    bent[:, 6] = [0, 0, np.sin(-0.5), np.cos(-0.5)]  # the left elbow, a hinge about z
    clip = replace(clip, joint_rot=bent)
    wxyz = [3, 0, 1, 2]
    heading = np.tile(np.array([0, 0, np.sin(1.2), np.cos(1.2)], np.float32), (clip.num_frames, 1))
    return {
        "good": clip,
        "wxyz": replace(clip, root_rot=clip.root_rot[..., wxyz], joint_rot=bent[..., wxyz]),
        "root_rot is probably stored as wxyz": replace(clip, root_rot=heading[..., wxyz]),
        "centimetres": replace(clip, root_pos=clip.root_pos * 100),
        "y is probably up": replace(clip, root_pos=clip.root_pos[:, [0, 2, 1]]),
        "not of one place": replace(clip, root_pos=clip.root_pos + np.array([50, 0, 0], np.float32)),
    }


def test_implausible_motions_are_rejected_with_the_cause(tmp_path: Path) -> None:
    root = tmp_path / "in"
    flat = Heightfield(np.zeros((9, 9), np.float32), np.full(2, -1.6, np.float32), 0.4)
    for name, clip in _slips().items():
        write_motion_terrain(root / "run" / f"{name}.pkl", MotionTerrain(clip, flat))
    result = merge_folders(config(root), tmp_path / "out")
    assert names(result) == ["run/good"]
    for name, reason in reasons(result).items():
        assert name[:-4] in reason and "allow_implausible: true" in reason
    anyway = merge_folders(config(root, allow_implausible=True), tmp_path / "out")
    assert len(anyway.motions) == len(_slips()) and anyway.num_read == 0
    assert sum("taken though implausible" in line for line in anyway.remarks()) == len(_slips()) - 1


def test_what_is_odd_without_a_cause_is_kept_and_said(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "high.pkl", height=4)
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert names(result) == ["run/high"]
    assert "high.pkl: odd, but kept: no body ever comes nearer than" in result.remarks()[0]
