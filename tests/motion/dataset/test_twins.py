"""The same motion under another name: mirrored, turned, moved."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.dataset.split import split_dataset
from parc_core.motion.dataset.twins import same_motions
from parc_core.motion.formats.container import write_motion_terrain
from tests.motion.small_files import small_clip, small_terrain, write_small


def _walk(folder: Path, name: str, frames: int = 40, seed: int = 0, change=lambda pos: pos) -> str:
    steps = np.random.default_rng(seed).normal(0.03, 0.01, (frames, 3))
    pos = np.cumsum(steps, axis=0) * (1, 1, 0) + (0, 0, 0.9) + 0.05 * np.sin(steps * 100)
    clip = dataclasses.replace(small_clip(frames), root_pos=change(pos).astype(np.float32))
    path = folder / f"{name}.pkl"
    write_motion_terrain(path, MotionTerrain(clip, small_terrain()))
    return str(path)


def test_mirrored_turned_and_moved_motions_are_found(tmp_path: Path) -> None:
    turn = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    files = [
        _walk(tmp_path, "left"),
        _walk(tmp_path, "other", seed=1),
        _walk(tmp_path, "right", change=lambda pos: pos * (1, -1, 1)),
        _walk(tmp_path, "turned", change=lambda pos: pos @ turn + (5, 6, 0.4)),
        _walk(tmp_path, "shorter", frames=39),
        _walk(tmp_path, "faster", change=lambda pos: pos * (1.1, 1.1, 1)),
    ]
    assert same_motions(files) == [0, 1, 0, 0, 4, 5]


def test_who_stands_still_is_like_nobody(tmp_path: Path) -> None:
    files = [str(write_small(tmp_path / f"{i}.pkl", height=0.9 + i / 100)) for i in range(3)]
    assert same_motions(files) == [0, 1, 2]


def test_gestures_of_one_length_are_not_one_motion(tmp_path: Path) -> None:
    """Who stands and sways by less than 2 mm a frame is told by what the joints do."""
    sway = np.random.default_rng(0).normal(0.0, 5e-4, (60, 3)) + np.array([0, 0, 0.9])

    def gesture(name: str, joint: int, moved: float = 0.0) -> str:
        clip = dataclasses.replace(
            small_clip(60), root_pos=(sway + np.array([moved, 0, 0])).astype(np.float32)
        )
        angle = 0.5 * np.linspace(0, 1.5, 60) * (1.0 if joint else 0.0)
        turns = np.zeros_like(clip.joint_rot)
        turns[..., 3] = 1.0
        turns[:, joint, 0], turns[:, joint, 3] = np.sin(angle), np.cos(angle)
        path = tmp_path / f"{name}.pkl"
        write_motion_terrain(path, MotionTerrain(dataclasses.replace(clip, joint_rot=turns), small_terrain()))
        return str(path)

    files = [gesture("wave", 3), gesture("stand", 0), gesture("moved", 3, 1.0), gesture("mirrored", 6)]
    assert same_motions(files) == [0, 1, 0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_a_split_keeps_them_together_with_their_variants(tmp_path: Path, seed: int) -> None:
    files = [
        _walk(tmp_path, "left"),
        _walk(tmp_path, "right", change=lambda pos: pos * (1, -1, 1)),
        str(write_small(tmp_path / "right_var001.pkl", height=1.1)),
        _walk(tmp_path, "other", seed=1),
    ]
    listing = tmp_path / "motions.yaml"
    write_motions_yaml(listing, MotionsFile([MotionEntry(file, 1.0) for file in files]))
    found = split_dataset(listing, tmp_path / "out", 0.5, seed)
    assert {found["train"]["motions"], found["held_out"]["motions"]} == {1, 3}
    assert found["held_out_clips"] in (["left"], ["other"])
