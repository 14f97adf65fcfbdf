"""Episode statistics, by hand."""

from __future__ import annotations

import pytest
import torch

from parc_core.envs.episode_stats import EpisodeStats
from parc_core.envs.terminations import FailReason


def filled() -> EpisodeStats:
    """Three of four environments finish: at the motion's end, by a fall, by time."""
    stats = EpisodeStats(4, torch.device("cpu"))
    stats.returns += torch.tensor([10.0, 4.0, 7.0, 99.0])
    stats.add(
        finished=torch.tensor([True, True, True, False]),
        steps=torch.tensor([30, 6, 300, 12]),
        timed_out=torch.tensor([False, False, True, False]),
        reasons=torch.tensor([FailReason.MOTION_END, FailReason.FALL, FailReason.NONE, FailReason.NONE]),
    )
    return stats


EXPECTED = {
    "Episodes": 3.0,
    "Train_Return": 7.0,
    "Train_Episode_Length": 112.0,
    "Completed": 2 / 3,
    "Fail_Simulation_Diverged": 0.0,
    "Fail_Fall": 1 / 3,
    "Fail_Root_Position": 0.0,
    "Fail_Root_Rotation": 0.0,
    "Fail_Body_Position": 0.0,
}


def test_means_over_finished_episodes() -> None:
    assert filled().read() == pytest.approx(EXPECTED)


def test_reading_starts_anew() -> None:
    stats = filled()
    stats.read()
    assert stats.read() == {"Episodes": 0.0}
    assert stats.returns[3] == 99.0  # running episodes go on


def test_goes_on_from_a_saved_state() -> None:
    fresh = EpisodeStats(4, torch.device("cpu"))
    fresh.load_state_dict(filled().state_dict())
    assert fresh.read() == pytest.approx(EXPECTED)
    assert fresh.returns.tolist() == [10.0, 4.0, 7.0, 99.0]
