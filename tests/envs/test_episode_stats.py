"""Episode statistics, by hand."""

from __future__ import annotations

import pytest
import torch

from parc_core.envs.episode_stats import TERM_COLUMNS, EpisodeStats
from parc_core.envs.terminations import FailReason
from parc_core.system.world import World


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


def test_means_of_the_rewards_terms_over_all_steps() -> None:
    stats = EpisodeStats(2, torch.device("cpu"))
    assert TERM_COLUMNS == ("pose_r", "vel_r", "root_pos_r", "root_vel_r", "key_pos_r", "contact_r")
    for step in range(3):  # nobody finishes
        stats.add_terms(torch.tensor([[1.0, 0.5, 0.0, 0.25, 1.0, -5.0], [0.0, 0.5, step, 0.25, 0.0, 5.0]]))
    expected = dict(zip(TERM_COLUMNS, (0.5, 0.5, 0.5, 0.25, 0.5, 0.0)))
    resumed = EpisodeStats(2, torch.device("cpu"))
    resumed.load_state_dict(stats.state_dict())
    assert stats.read(_Twice(0, 2)) == pytest.approx({"Episodes": 0.0, **expected})
    assert stats.read() == {"Episodes": 0.0}
    assert resumed.read() == pytest.approx({"Episodes": 0.0, **expected})


class _Twice(World):
    """Another process whose episodes ended exactly like this one's."""

    def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.mul_(2)


def test_episodes_of_all_processes_are_read() -> None:
    stats = filled()
    assert stats.read(_Twice(0, 2)) == pytest.approx({**EXPECTED, "Episodes": 6.0})
    assert stats.read() == {"Episodes": 0.0}


def test_goes_on_from_a_saved_state() -> None:
    fresh = EpisodeStats(4, torch.device("cpu"))
    fresh.load_state_dict(filled().state_dict())
    assert fresh.read() == pytest.approx(EXPECTED)
    assert fresh.returns.tolist() == [10.0, 4.0, 7.0, 99.0]


def test_checkpoints_from_before_statistics_had_names_are_read() -> None:
    """Counts, then reasons, in the order of that time."""
    state = {
        "returns": torch.tensor([10.0, 4.0, 7.0, 99.0]),
        "sums": torch.tensor([3.0, 21.0, 336.0, 2.0, 1.0], dtype=torch.float64),
        "reasons": torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0], dtype=torch.float64),
    }
    fresh = EpisodeStats(4, torch.device("cpu"))
    fresh.load_state_dict(state)
    assert fresh.read() == pytest.approx(EXPECTED)


def test_a_checkpoint_may_know_fewer_reasons_in_another_order() -> None:
    state = filled().state_dict()
    order = [name for name in reversed(state["names"]) if name != "root rotation"]
    state["totals"] = torch.tensor([state["totals"][state["names"].index(name)] for name in order])
    state["names"] = order
    fresh = EpisodeStats(4, torch.device("cpu"))
    fresh.load_state_dict(state)
    assert fresh.read() == pytest.approx(EXPECTED)
