"""Sums over the steps of clips, by hand in an environment of tables."""

from __future__ import annotations

import pytest
import torch

from parc_core.envs.terminations import FailReason
from parc_core.playback.scores import track_all_clips, track_clips
from tests.playback.fake_env import FakeEnv, id_as_action

FALL, DIVERGED, END = FailReason.FALL, FailReason.DIVERGED, FailReason.MOTION_END


def test_rewards_and_errors_are_summed_up_to_each_clips_end():
    """Rewards are the clip's id, joint errors the clip time; the step in which a simulation diverges has no errors."""
    env = FakeEnv(3, lengths=[0.3, 0.9, 0.9], fails={1: (0.2, FALL), 2: (0.3, DIVERGED)})
    found = track_clips(env, id_as_action, torch.arange(3))
    assert found.reason.tolist() == [END, FALL, DIVERGED] and found.completed.tolist() == [True, False, False]
    assert found.steps.tolist() == [3, 2, 3] and found.scored.tolist() == [3, 2, 2]
    assert found.sums[:, 0].tolist() == [0.0, 2.0, 4.0]
    assert found.sums[:, 1].tolist() == pytest.approx([0.1 + 0.2 + 0.3, 0.1 + 0.2, 0.1 + 0.2])
    assert found.mean_errors[:, 0].tolist() == pytest.approx([0.2, 0.15, 0.15])
    assert found.mean_errors[:, 1:].tolist() == [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]] * 3


def test_a_clip_that_diverges_at_once_has_no_errors():
    found = track_clips(FakeEnv(1, [0.5], fails={0: (0.1, DIVERGED)}), id_as_action, torch.tensor([0]))
    assert found.steps.tolist() == [1] and found.mean_errors.tolist() == [[0.0] * 8]


def test_a_heartbeat_every_step_and_a_report_every_30():
    env = FakeEnv(2, lengths=[9.0, 9.0], fails={0: (0.1, FALL), 1: (3.1, FALL)})
    events = []
    track_clips(env, id_as_action, torch.arange(2), events.append, lambda: events.append("heartbeat"))
    assert events == [*["heartbeat"] * 30, 1, *["heartbeat"] * 30, 2]


def test_all_clips_come_in_waves_and_in_the_order_of_the_dataset():
    env = FakeEnv(2, lengths=[0.5, 0.2, 4.0, 0.3, 0.4], fails={4: (0.2, FALL)})
    seen = []
    found = track_all_clips(env, id_as_action, lambda done, total: seen.append((done, total)))
    assert [ids for ids, _ in env.resets] == [[1, 3], [4, 0], [2, 2]]
    assert found.steps.tolist() == [5, 2, 40, 3, 2]
    assert found.reason.tolist() == [END, END, END, END, FALL]
    assert found.sums[:, 0].tolist() == [0.0, 2.0, 80.0, 9.0, 8.0]
    assert seen == [(2, 5), (4, 5), (4, 5), (5, 5)]
