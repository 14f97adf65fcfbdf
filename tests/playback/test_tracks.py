"""Tracks of real clips: frames, ends, and enough to write motions from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.playback.tracks import LOOPING_CLIP_S, TAIL_AFTER_FAILURE_S, record_tracks
from parc_core.viewing.clip_scene import scene_of_track
from tests.evaluation.sample_data import make_env_file

DT = 1 / 30


@pytest.fixture(scope="module")
def env_file(tmp_path_factory):
    """A walk that is lost without learning, and a looping turn."""
    return make_env_file(tmp_path_factory.mktemp("motions"), ["stand", "walk", "turn"], looping=True)


def _zero(obs):
    return torch.zeros(len(obs), 28)


def _env(env_file, num_envs=3, early_termination=True):
    env = dataclasses.replace(env_file.env, enable_early_termination=early_termination)
    return make_evaluation_env(dataclasses.replace(env_file, env=env), num_envs=num_envs)


def test_root_and_joints_of_a_track_give_its_bodies(env_file):
    env = _env(env_file)
    falling, standing = record_tracks(env, _zero, [1, 0], 2.0)
    for track in (falling, standing):
        pose = (torch.from_numpy(part) for part in (track.root_pos, track.root_rot, track.joint_rot))
        body_pos, body_rot = env.kinematics.forward(*pose)
        np.testing.assert_allclose(body_pos.numpy(), track.body_pos, atol=1e-4)
        same = np.abs((body_rot.numpy() * track.body_rot).sum(-1))
        np.testing.assert_allclose(same, 1.0, atol=1e-4)
        assert track.contact_forces.shape == track.body_pos.shape
    weight = 490.0  # N, of 50 kg
    carried = [track.contact_forces[1:, :, 2].sum(-1).mean() for track in (falling, standing)]
    assert carried[1] == pytest.approx(weight, rel=0.1)
    assert carried[0] == pytest.approx(weight, rel=0.3)  # it hops: single frames carry nothing


def test_a_track_ends_with_its_clip_or_shortly_after_its_failure(env_file):
    env = _env(env_file)
    standing, walk = record_tracks(env, _zero, [0, 1], 100.0)
    assert standing.lost_at_s is None and standing.reason == ""
    assert (standing.num_frames - 1) * DT == pytest.approx(float(env.library.lengths[0]), abs=0.6 * DT)
    assert walk.lost_at_s is not None and walk.reason != ""
    assert walk.lost_at_s + TAIL_AFTER_FAILURE_S < float(env.library.lengths[1])
    assert (walk.num_frames - 1) * DT == pytest.approx(walk.lost_at_s + TAIL_AFTER_FAILURE_S, abs=1e-6)


def test_looping_clips_are_shown_for_a_while_and_nothing_for_longer_than_asked(env_file):
    env = _env(env_file, early_termination=False)
    seconds = max(float(env.library.lengths[2]), LOOPING_CLIP_S)
    (whole,) = record_tracks(env, _zero, [2], 100.0)
    assert (whole.num_frames - 1) * DT == pytest.approx(seconds, abs=0.6 * DT)
    assert {track.num_frames for track in record_tracks(env, _zero, [0, 2], 0.5)} == {16}


def test_waves_give_the_tracks_in_the_order_asked_for(env_file):
    at_once, in_waves = (record_tracks(_env(env_file, n), _zero, [1, 2, 0], 1.0) for n in (3, 1))
    assert [track.name for track in at_once] == ["walk/walk_0", "turn/turn_0", "stand/stand_0"]
    for one, other in zip(at_once, in_waves):
        assert (one.name, one.lost_at_s, one.reason) == (other.name, other.lost_at_s, other.reason)
        np.testing.assert_allclose(one.body_pos, other.body_pos, atol=1e-5)
        np.testing.assert_allclose(one.ref_pos, other.ref_pos, atol=1e-6)


def test_a_track_says_the_limits_that_end_its_clip(env_file):
    (walk,) = record_tracks(_env(env_file), _zero, [1], 1.0)
    assert walk.limits == {"root_pos_m": 0.6, "root_rot_rad": 1.309}
    assert set(walk.limits) <= set(walk.series)
    curves = {one.label: one.limit for one in scene_of_track(walk).series}
    assert (curves["root pos"], curves["root rot"], curves["joint error"]) == (0.6, 1.309, None)
    (endless,) = record_tracks(_env(env_file, early_termination=False), _zero, [1], 1.0)
    assert endless.limits == {}
