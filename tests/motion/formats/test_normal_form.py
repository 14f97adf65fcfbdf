"""Motions far from zero and at odd frame rates, as every reader gives them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.errors import DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.dataset.file_index import inspect
from parc_core.motion.dataset.loading import load_dataset
from parc_core.motion.formats.container import motion_terrain_bytes, read_motion_terrain
from parc_core.motion.formats.legacy import read_any
from parc_core.motion.formats.normal_form import whole_frame_rate
from parc_core.motion.library import MotionLibrary
from parc_core.motion.skeleton import Skeleton
from parc_core.rotations import exp_map_to_quat
from tests.motion.small_files import container, motion_dict, small_clip, small_terrain, terrain_dict

FAR = np.array([500_000.0, -123_456.0, 0.0])
SPEED = 1.25  # m/s


def far_parts(place: np.ndarray = FAR) -> tuple[dict[str, Any], dict[str, Any]]:
    root_pos = np.zeros((4, 3))
    root_pos[:, 0] = np.arange(4) * SPEED / 30
    root_pos[:, 2] = 0.9
    terrain = terrain_dict()
    terrain["min_point"] = terrain["min_point"].astype(np.float64) + place[:2]
    terrain["hf"] = terrain["hf"].astype(np.float64) + place[2]
    terrain["hf_maxmin"] = terrain["hf_maxmin"].astype(np.float64) + place[2]
    return motion_dict(root_pos=root_pos + place), terrain


def flat_file(motion: dict[str, Any], terrain: dict[str, Any]) -> bytes:
    frames = np.zeros((4, 34))
    frames[:, :3] = motion["root_pos"]
    return pickle.dumps({"frames": frames, "fps": motion["fps"], "loop_mode": "CLAMP", "terrain": terrain})


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics(load_character(resolve("data/assets/humanoid.xml")))


@pytest.mark.parametrize("place", [FAR, np.array([500_000.0, -123_456.0, 8000.0])])
@pytest.mark.parametrize("kind", ["container", "flat", "npz"])
def test_far_motions_are_moved_before_the_cast(
    tmp_path: Path, kinematics: Kinematics, kind: str, place: np.ndarray
) -> None:
    motion, terrain = far_parts(place)
    if kind == "npz":
        np.savez(tmp_path / "a.npz", **motion, **terrain)
        data = (tmp_path / "a.npz").read_bytes()
    else:
        data = container(motion, terrain) if kind == "container" else flat_file(motion, terrain)
    found = read_any(data, "a", kinematics, 28)
    assert found.motion is not None and found.terrain is not None
    assert "to lie near zero" in found.notes[0]
    velocity = np.diff(found.motion.root_pos[:, 0]) * 30
    assert np.allclose(velocity, SPEED, atol=1e-4)
    # Motion and terrain keep their places to each other.
    near, ground = far_parts(np.zeros(3))
    assert np.allclose(
        found.terrain.min_point - found.motion.root_pos[0, :2],
        ground["min_point"] - near["root_pos"][0, :2],
        atol=1e-3,
    )
    assert np.allclose(
        found.motion.root_pos[:, 2] - found.terrain.hf[0, 0],
        near["root_pos"][:, 2] - ground["hf"][0, 0],
        atol=1e-3,
    )


def test_a_dataset_of_far_motions_has_their_velocities(tmp_path: Path, kinematics: Kinematics) -> None:
    (tmp_path / "far.pkl").write_bytes(container(*far_parts()))
    write_motions_yaml(tmp_path / "motions.yaml", MotionsFile([MotionEntry(str(tmp_path / "far.pkl"), 1.0)]))
    loaded = load_dataset(tmp_path / "motions.yaml")
    library = MotionLibrary(loaded.arrays, loaded.weights, loaded.names, kinematics)
    assert torch.allclose(library.frame_root_vel[:, 0], torch.tensor(SPEED), atol=1e-4)


def test_float32_far_from_zero_is_refused_with_the_cause(tmp_path: Path, kinematics: Kinematics) -> None:
    """Its last digits are lost already; moving it does not bring them back."""
    motion, terrain = far_parts()
    motion["root_pos"] = motion["root_pos"].astype(np.float32)
    (tmp_path / "a.pkl").write_bytes(container(motion, terrain))
    facts = inspect(str(tmp_path / "a.pkl"), 15, Skeleton.of(kinematics.character))
    assert "float32 has steps of 0.031 m" in facts.implausible and "save float64" in facts.implausible


def test_places_near_zero_stay_bit_for_bit() -> None:
    clip = replace(small_clip(), root_pos=small_clip().root_pos + np.array([999.0, -0.1, 0.1], np.float32))
    found = read_motion_terrain(motion_terrain_bytes(MotionTerrain(clip, small_terrain())))
    assert found.motion is not None and found.notes == ()
    assert found.motion.root_pos.tobytes() == clip.root_pos.tobytes()


def test_no_place_is_that_far() -> None:
    with pytest.raises(DataError, match=r"x: motion_data: root_pos reaches 1e\+10 m from zero"):
        read_motion_terrain(container(motion_dict(root_pos=np.full((4, 3), 1e10))), "x")


@pytest.mark.parametrize(("fps", "whole"), [(29.97, 30), (23.976, 24), (59.94, 60), (0.7, 1), (30.4, 30)])
def test_resampled_motions_keep_their_course(fps: float, whole: int) -> None:
    n = 90
    times = np.arange(n) / fps
    clip = small_clip(n)
    turn = torch.zeros(n, 3)
    turn[:, 2] = torch.from_numpy(0.3 * times)
    rot = exp_map_to_quat(turn).numpy()
    contacts = np.zeros((n, 15), np.float32)
    contacts[:, 3] = np.linspace(0, 1, n)
    clip = replace(
        clip,
        root_pos=np.stack([1.5 * times, 0 * times, 0.9 + 0 * times], 1).astype(np.float32),
        root_rot=np.where(np.arange(n)[:, None] % 2, -rot, rot),  # either sign is the same rotation
        body_contacts=contacts,
    )
    found, note = whole_frame_rate(clip, fps)
    assert found.fps == whole and note == f"resampled from {fps:g} to {whole} frames per second"
    new = np.arange(found.num_frames) / whole
    assert abs(new[-1] - times[-1]) < 1 / min(fps, whole) and found.root_pos.dtype == np.float32
    assert np.allclose(found.root_pos[:, 0], 1.5 * new, rtol=1e-5, atol=1e-4)
    angle = 2 * np.arctan2(found.root_rot[:, 2], found.root_rot[:, 3])
    assert np.allclose(np.cos(angle), np.cos(0.3 * new), atol=1e-4)
    assert np.allclose(np.linalg.norm(found.root_rot, axis=-1), 1, atol=1e-6)
    assert found.body_contacts is not None and np.allclose(
        found.body_contacts[:, 3], new / times[-1], atol=1e-5
    )
    same, silent = whole_frame_rate(clip, 30.0)
    assert silent == "" and same.root_pos is clip.root_pos
