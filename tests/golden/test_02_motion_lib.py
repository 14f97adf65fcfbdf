"""Golden file 02: sampling of clips (CLAMP and WRAP), per-frame velocities, target frames."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.motion.formats.container import read_motion_terrain
from tests.golden.conftest import load_numbers
from tests.motion.make_library import library_of

HUMANOID = Path(__file__).resolve().parents[2] / "data" / "assets" / "humanoid.xml"
FIELDS = ("root_pos", "root_rot", "root_vel", "root_ang_vel", "joint_rot", "dof_pos", "dof_vel", "contacts")
# The reference's slerp returns the midpoint under tiny angles.
TOLERANCE = {"root_rot": 2e-3, "joint_rot": 2e-3, "dof_pos": 4e-3, "root_ang_vel": 2e-4, "dof_vel": 2e-4}


@pytest.fixture(scope="module")
def golden(golden_dir):
    return load_numbers(golden_dir / "02_motion_lib.npz")


@pytest.fixture(scope="module")
def clips(golden, golden_dir):
    files = [name if name.endswith(".pkl") else f"{name}.pkl" for name in golden["files"].tolist()]
    return [read_motion_terrain(golden_dir / "files" / name).motion for name in files]


def build(golden, clips, loop_mode):
    clips = [dataclasses.replace(clip, loop_mode=loop_mode) for clip in clips]
    names = [f"{i}_{name}" for i, name in enumerate(golden["files"].tolist())]
    return library_of(clips, golden["weights_in"].tolist(), names, Kinematics(load_character(HUMANOID)))


@pytest.fixture(scope="module")
def library(golden, clips):
    return build(golden, clips, "CLAMP")


# rad: the reference takes smaller turns from one frame to the next for none (at 30 frames per second 6e-4 rad/s).
DEAD_ZONE = 2e-5


def close(name, got, want, fps=30.0):
    if name.endswith("_rot"):
        got = torch.where((got * want).sum(-1, keepdim=True) < 0, -got, got)
    if name in ("root_ang_vel", "dof_vel"):
        limit = 1.02 * DEAD_ZONE * fps
        got = torch.where((want.abs() <= limit) & (got.abs() <= limit), want, got)
    assert_close(got, want, atol=TOLERANCE.get(name, 1e-5), rtol=1e-5, msg=lambda text: f"{name}: {text}")


def test_motions(golden, library):
    close("lengths", library.lengths, golden["motion_lengths"])
    close("fps", library.fps, golden["motion_fps"])
    close("weights", library.weights, golden["motion_weights"])
    assert torch.equal(library.num_frames, golden["motion_num_frames"])
    assert torch.equal(library.start_idx, golden["motion_start_idx"])
    close("loop_offset", library.loop_offset, golden["motion_root_pos_delta"])


def test_frames(golden, library):
    for name in ("root_vel", "root_ang_vel", "dof_vel", "contacts"):
        fps = float(golden["motion_fps"].max())
        close(name, getattr(library, f"frame_{name}"), golden[f"frame_{name}"], fps)


def test_place_in_the_clip(golden, library):
    ids, times = golden["ids"], golden["times"]
    lower, upper, blend, _ = library.locate(ids, times)
    # Both count frames of all clips, end to end.
    assert torch.equal(lower, golden["frame_idx0"])
    assert torch.equal(upper, golden["frame_idx1"])
    close("blend", blend, golden["blend"])
    close("phase", library.phase(ids, times)[0], golden["phase"])


@pytest.mark.parametrize(("prefix", "loop_mode"), [("out", "CLAMP"), ("wrap", "WRAP")])
def test_samples(golden, clips, prefix, loop_mode):
    frame = build(golden, clips, loop_mode).sample(golden["ids"], golden["times"])
    compared = [name for name in FIELDS if f"{prefix}_{name}" in golden]
    assert len(compared) >= 7
    for name in compared:
        close(name, getattr(frame, name), golden[f"{prefix}_{name}"], float(golden["motion_fps"].max()))


def test_target_frames(golden, library):
    found = library.target_frames(golden["tar_ids"], golden["tar_times"], golden["tar_steps"], 1.0 / 30.0)
    for name, got in zip(("root_pos", "root_rot", "joint_rot", "contacts"), found):
        close(name, got, golden[f"tar_{name}"])
