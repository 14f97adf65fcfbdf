"""The motion library on clips written down by hand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.errors import DataError
from parc_core.motion import library as library_module
from tests.motion.make_clips import still_clip, turn
from tests.motion.make_library import library_of

HUMANOID = Path(__file__).resolve().parents[2] / "data" / "assets" / "humanoid.xml"


@pytest.fixture(scope="module")
def kin():
    return Kinematics(load_character(HUMANOID))


def moving_clip(loop_mode="CLAMP"):
    """Three frames at 10 fps: 1 m then 2 m along x and up; yaw 0, 0.1, 0.3; right knee 0, 0.2, 0.6."""
    clip = still_clip(3, fps=10, loop_mode=loop_mode)
    clip.root_pos[:, 0] = [0.0, 1.0, 3.0]
    clip.root_pos[:, 2] = [0.9, 1.0, 1.2]
    for frame, (yaw, knee, contact) in enumerate([(0.0, 0.0, 0.0), (0.1, 0.2, 1.0), (0.3, 0.6, 1.0)]):
        clip.root_rot[frame] = turn("z", yaw)
        clip.joint_rot[frame, 9] = turn("y", knee)  # body 10, right_shin
        clip.body_contacts[frame, 11] = contact
    return clip


KNEE = 17  # its dof


def make(kin, *clips, weights=None, names=None):
    names = names or [f"motion_{i}" for i in range(len(clips))]
    return library_of(clips, weights or [1.0] * len(clips), names, kin)


def sample(library, motion, time):
    return library.sample(torch.tensor([motion]), torch.tensor([time]))


def test_velocities_of_three_frames(kin):
    library = make(kin, moving_clip())
    assert_close(
        library.frame_root_vel, torch.tensor([[10.0, 0, 1], [20, 0, 2], [20, 0, 2]]), atol=1e-5, rtol=0
    )
    yaw_rates = torch.tensor([[0.0, 0, 1], [0, 0, 2], [0, 0, 2]])
    assert_close(library.frame_root_ang_vel, yaw_rates, atol=1e-4, rtol=0)
    expected = torch.zeros(3, 28)
    expected[:, KNEE] = torch.tensor([2.0, 4.0, 4.0])
    assert_close(library.frame_dof_vel, expected, atol=1e-4, rtol=0)


def test_velocities_do_not_cross_from_clip_to_clip(kin):
    far = still_clip(2)
    far.root_pos[:] = 100.0
    library = make(kin, moving_clip(), far, still_clip(2))
    assert library.start_idx.tolist() == [0, 3, 5]
    assert_close(library.frame_root_vel[2], torch.tensor([20.0, 0, 2]), atol=1e-5, rtol=0)
    assert torch.equal(library.frame_root_vel[3:], torch.zeros(4, 3))


def test_velocities_in_chunks_are_the_same(kin, monkeypatch):
    clips = [moving_clip(), still_clip(4), moving_clip()]
    whole = make(kin, *clips)
    monkeypatch.setattr(library_module, "_CHUNK_FRAMES", 2)
    parts = make(kin, *clips)
    for name in ("frame_root_vel", "frame_root_ang_vel", "frame_dof_vel"):
        assert torch.equal(getattr(whole, name), getattr(parts, name))


def test_half_way_between_two_frames(kin):
    frame = sample(make(kin, moving_clip()), 0, 0.15)
    assert_close(frame.root_pos, torch.tensor([[2.0, 0.0, 1.1]]))
    assert_close(frame.root_rot[0], torch.from_numpy(turn("z", 0.2)), atol=1e-5, rtol=0)
    assert_close(frame.joint_rot[0, 9], torch.from_numpy(turn("y", 0.4)), atol=1e-5, rtol=0)
    assert frame.dof_pos[0, KNEE].item() == pytest.approx(0.4, abs=1e-5)
    # Velocities are those of the lower frame, not interpolated.
    assert_close(frame.root_vel, torch.tensor([[20.0, 0.0, 2.0]]), atol=1e-5, rtol=0)
    assert frame.dof_vel[0, KNEE].item() == pytest.approx(4.0, abs=1e-4)
    assert frame.contacts[0, 11].item() == pytest.approx(1.0)
    assert sample(make(kin, moving_clip()), 0, 0.05).contacts[0, 11].item() == pytest.approx(0.5)


@pytest.mark.parametrize(("time", "x"), [(-1.0, 0.0), (0.2, 3.0), (7.0, 3.0)])
def test_clamp_stays_at_the_ends(kin, time, x):
    assert sample(make(kin, moving_clip()), 0, time).root_pos[0, 0].item() == pytest.approx(x)


@pytest.mark.parametrize(
    ("time", "x", "z"),
    [(0.05, 0.5, 0.95), (0.25, 3.5, 0.95), (0.65, 9.5, 0.95), (-0.05, -1.0, 1.1)],
)
def test_wrap_accumulates_xy_and_not_height(kin, time, x, z):
    position = sample(make(kin, moving_clip("WRAP")), 0, time).root_pos[0]
    assert position[0].item() == pytest.approx(x, abs=1e-4)
    assert position[2].item() == pytest.approx(z, abs=1e-4)


def test_motions_keep_their_own_rates_and_ways_to_end(kin):
    library = make(kin, moving_clip(), moving_clip("WRAP"), still_clip(31))
    assert_close(library.lengths, torch.tensor([0.2, 0.2, 1.0]))
    assert library.loop_wrap.tolist() == [False, True, False]
    frame = library.sample(torch.tensor([1, 0, 2]), torch.tensor([0.25, 0.25, 0.25]))
    assert_close(frame.root_pos[:, 0], torch.tensor([3.5, 3.0, 0.0]), atol=1e-4, rtol=0)


def test_target_frames_are_samples_of_later_times(kin):
    library = make(kin, moving_clip(), moving_clip("WRAP"))
    ids, times, steps = torch.tensor([0, 1]), torch.tensor([0.0, 0.05]), torch.tensor([1, 2, 30])
    found = library.target_frames(ids, times, steps, 0.01)
    assert [tuple(t.shape) for t in found] == [(2, 3, 3), (2, 3, 4), (2, 3, 14, 4), (2, 3, 15)]
    for k, step in enumerate(steps):
        single = library.sample(ids, times + step * 0.01)
        for got, want in zip(found, (single.root_pos, single.root_rot, single.joint_rot, single.contacts)):
            assert_close(got[:, k], want, atol=1e-6, rtol=0)


def test_weights_are_normalized_and_one_may_be_zero(kin):
    library = make(kin, still_clip(), still_clip(), still_clip(), weights=[1.0, 0.0, 3.0])
    assert_close(library.weights, torch.tensor([0.25, 0.0, 0.75]))


def test_clip_without_contacts_has_none(kin):
    library = make(kin, still_clip(contacts=False), moving_clip())
    assert torch.equal(library.frame_contacts[:3], torch.zeros(3, 15))
    assert library.frame_contacts[4, 11] == 1.0


def test_clips_are_not_changed(kin):
    clip = moving_clip()
    clip.root_rot[:] *= 1.0005
    before = {k: v.copy() for k, v in dataclasses.asdict(clip).items() if isinstance(v, np.ndarray)}
    library = make(kin, clip)
    assert_close(library.frame_root_rot.norm(dim=-1), torch.ones(3))
    library.frame_root_pos += 1.0
    for key, array in before.items():
        assert np.array_equal(getattr(clip, key), array), key


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -0.1], "motion 'b' has the weight -0.1"),
        ([math.nan, 1.0], "motion 'a' has the weight nan"),
        ([0.0, 0.0], "weights of all motions are zero"),
        ([1.0], "2 motions have 1 weights"),
    ],
)
def test_bad_weights(kin, weights, message):
    with pytest.raises(DataError, match=message):
        make(kin, still_clip(), still_clip(), weights=weights, names=["a", "b"])
