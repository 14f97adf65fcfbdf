"""A policy's clips as they are watched: exact when scrubbed, pushed, and under another policy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.playback.tracks import record_tracks
from parc_core.viewing.policy_source import TAIL_S, PolicySource
from tests.evaluation.sample_data import make_env_file

WALK = 1
UP = np.array([0.0, 0.0, 1.0])


def zero(obs):
    return torch.zeros(len(obs), 28)


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    """A standing character, a walk that is lost without learning, and a looping turn."""
    env_file = make_env_file(tmp_path_factory.mktemp("motions"), ["stand", "walk", "turn"], looping=True)
    return make_evaluation_env(env_file, num_envs=1)


def test_frames_are_those_of_a_recording(env):
    (track,) = record_tracks(env, zero, [WALK], 1.0)
    source = PolicySource(env, zero)
    source.select(WALK)
    for number in (20, 3, 30):  # scrubbed back and forth
        frame = source.frame(number)
        np.testing.assert_array_equal(frame.body_pos, track.body_pos[number])
        np.testing.assert_array_equal(frame.ref_pos, track.ref_pos[number])
        np.testing.assert_array_equal(frame.forces, track.contact_forces[number])
        assert frame.numbers["joint_error_m"] == pytest.approx(track.series["joint_error_m"][number])
    assert set(frame.numbers) == set(track.series) and "pose_r" in frame.numbers
    np.testing.assert_allclose(source.curve(), track.series["joint_error_m"], rtol=1e-6)
    assert source.limits == track.limits != {}


def test_a_loss_is_marked_and_ends_the_clip_a_little_later(env):
    source = PolicySource(env, zero)
    source.select(WALK)
    whole = source.num_frames
    source.frame(whole)
    (mark,) = source.marks
    assert mark.kind == "lost" and source.num_frames < whole
    assert (source.num_frames - 1) * source.dt == pytest.approx(mark.start_s + TAIL_S, abs=source.dt)
    assert source.frame(10**6).note == mark.text and source.frame(0).note == ""


def test_a_push_changes_what_comes_after_it_alone_and_is_repeatable(env):
    source = PolicySource(env, zero)
    source.select(0)
    calm = [source.frame(k).body_pos for k in range(25)]
    torso = source.character.body_id("torso")
    after = []
    for _ in range(2):
        source.select(0)
        source.frame(24)
        source.push(10, torso, 600.0 * np.array([0.0, 1.0, 0.0]), 0.2)
        after.append([source.frame(k).body_pos for k in range(25)])
    np.testing.assert_array_equal(after[0], after[1])
    np.testing.assert_array_equal(after[0][:11], calm[:11])
    assert (after[0][16] - calm[16])[torso, 1] > 0.05  # m, to where it was pushed
    source.select(0)
    np.testing.assert_array_equal(source.frame(24).body_pos, calm[24])  # no force is left behind


def test_another_policy_is_shown_from_the_start_with_the_pushes(env):
    source = PolicySource(env, zero)
    source.select(0)
    source.push(2, 0, 300.0 * UP, 0.1)
    before = source.frame(15).body_pos
    source.set_policy(lambda obs: torch.full((len(obs), 28), 0.1))
    other = source.frame(15).body_pos
    assert np.abs(other - before).max() > 1e-3
    source.set_policy(zero)
    np.testing.assert_array_equal(source.frame(15).body_pos, before)


def test_the_height_scan_lies_on_the_ground_that_is_drawn(env):
    source = PolicySource(env, zero)
    source.select(0)
    points = source.scan(source.frame(0))
    xy, heights, dx = source.ground()
    assert points.shape[1] == 3 and dx == pytest.approx(0.4)
    inside = [p for p in points if (abs(xy.reshape(-1, 2) - p[:2]) <= dx / 2).all(-1).any()]
    assert inside
    for p in inside:
        cell = np.linalg.norm(xy.reshape(-1, 2) - p[:2], axis=-1).argmin()
        assert p[2] == pytest.approx(heights.reshape(-1)[cell], abs=1e-5)
