"""Which motion is drawn how often, and how failure rates move."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from parc_core.character.kinematics import Kinematics
from parc_core.envs.sampling import MotionSampler
from parc_core.errors import DataError
from parc_core.motion.library import MotionLibrary
from parc_core.system.world import World
from tests.envs.scenes import clip_of, humanoid, motion, shortened

LENGTHS = (31, 16, 61)
WEIGHTS = (1.0, 2.0, 1.0)


def sampler(min_weight: float = 0.01, adaptive: bool = True, seed: int = 0) -> MotionSampler:
    clips = [clip_of(shortened(motion("stand"), frames)) for frames in LENGTHS]
    library = MotionLibrary(clips, WEIGHTS, ["a", "b", "c"], Kinematics(humanoid()))
    return MotionSampler(library, min_weight, torch.Generator().manual_seed(seed), adaptive)


def shares(s: MotionSampler, n: int = 40000) -> list[float]:
    ids, _ = s.sample(n, random_time=True)
    return (torch.bincount(ids, minlength=3) / n).tolist()


def test_motions_are_drawn_by_weight_times_failure_rate() -> None:
    s = sampler()
    s.set_fail_rates(torch.tensor([0.5, 0.1, 0.0]), "test")
    # 1 · 0.5, 2 · 0.1, 1 · max(0, 0.01)
    assert shares(s) == pytest.approx([0.5 / 0.71, 0.2 / 0.71, 0.01 / 0.71], abs=0.01)


def test_failure_rates_can_be_ignored() -> None:
    s = sampler(adaptive=False)
    s.set_fail_rates(torch.tensor([1.0, 0.0, 0.0]), "test")
    assert shares(s) == pytest.approx([0.25, 0.5, 0.25], abs=0.01)


def test_motions_that_never_fail_are_still_drawn_by_weight() -> None:
    s = sampler(min_weight=0.0)
    s.set_fail_rates(torch.zeros(3), "test")
    assert shares(s) == pytest.approx([0.25, 0.5, 0.25], abs=0.01)


def test_start_times_are_uniform_in_the_clip() -> None:
    s = sampler()
    ids, times = s.sample(40000, random_time=True)
    for m, frames in enumerate(LENGTHS):
        length = (frames - 1) / 30
        of_motion = times[ids == m]
        assert float(of_motion.min()) >= 0
        assert float(of_motion.max()) < length
        quarters = torch.histc(of_motion, bins=4, min=0, max=length) / len(of_motion)
        assert quarters.tolist() == pytest.approx([0.25] * 4, abs=0.02)
    assert float(s.sample(10, random_time=False)[1].abs().max()) == 0.0


def test_same_seed_same_draws() -> None:
    a, b, c = sampler(seed=3), sampler(seed=3), sampler(seed=4)
    assert_close(a.sample(50, True), b.sample(50, True))
    assert not torch.equal(a.sample(50, True)[1], c.sample(50, True)[1])


def record(s: MotionSampler, ids: list[int], failed: list[bool], finished: list[bool] | None = None) -> None:
    s.record(torch.tensor(ids), torch.tensor(failed), torch.tensor(finished or [True] * len(ids)))


def at_half() -> MotionSampler:
    s = sampler()
    s.set_fail_rates(torch.full((3,), 0.5), "test")
    return s


class TwoProcesses(World):
    """Sums with another process's tensors, which are given in the order in which they will be asked for."""

    def __init__(self, *others: torch.Tensor) -> None:
        super().__init__(0, 2)
        self._others = list(others)

    def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.add_(self._others.pop(0))


def test_rates_start_at_one_and_follow_single_episodes() -> None:
    s = sampler()
    rate = 1.0
    for failed in (False, False, True, False, True):
        record(s, [1], [failed])
        s.apply(World())
        rate = 0.99 * rate + 0.01 * failed
    assert s.fail_rates.tolist() == pytest.approx([1.0, rate, 1.0], rel=1e-6)


def test_an_iteration_of_several_steps_by_hand() -> None:
    """Motion 0: four episodes of which three fail; motion 1: two that succeed; motion 2: none."""
    s = at_half()
    record(s, [0, 1, 0], [True, False, False])
    record(s, [0, 2, 2], [True, True, True], finished=[True, False, False])
    record(s, [1, 0, 2], [False, True, False], finished=[True, True, False])
    assert s.fail_rates.tolist() == [0.5] * 3, "the rates of the iteration's beginning stay to its end"
    assert s.counts.tolist() == [[4, 2, 0], [3, 0, 0]]
    s.apply(World())
    # 0.99^4 = 0.96059601, 0.99^2 = 0.9801
    expected = [0.5 * 0.96059601 + 0.03940399 * 0.75, 0.5 * 0.9801, 0.5]
    assert s.fail_rates.tolist() == pytest.approx(expected, rel=1e-6)
    again = s.fail_rates.clone()
    s.apply(World())
    assert torch.equal(s.fail_rates, again), "the counts were used up"


def test_the_order_of_episodes_in_an_iteration_does_not_matter() -> None:
    outcomes = [(0, True), (1, False), (0, False), (0, True), (2, True), (1, True)]
    one, other = at_half(), at_half()
    for s, order in ((one, outcomes), (other, outcomes[::-1])):
        for motion_id, failed in order:
            record(s, [motion_id], [failed])
        s.apply(World())
    assert torch.equal(one.fail_rates, other.fail_rates)


def test_the_rates_that_are_drawn_by_stay_the_same_tensor() -> None:
    s = sampler()
    rates, counts = s.fail_rates, s.counts
    record(s, [0], [False])
    s.apply(World())
    assert rates is s.fail_rates
    assert counts is s.counts
    assert float(rates[0]) == pytest.approx(0.99)


def test_counts_of_several_processes_move_the_rates_like_those_of_one() -> None:
    one, first, second = at_half(), at_half(), at_half()
    parts = (first, [0, 1, 0], [True, False, False]), (second, [0, 2, 1], [True, False, False])
    for part, ids, failed in parts:
        record(part, ids, failed)
        record(one, ids, failed)
    counts = [part.counts.clone() for part in (first, second)]
    one.apply(World())
    first.apply(TwoProcesses(counts[1]))
    second.apply(TwoProcesses(counts[0]))
    assert torch.equal(first.fail_rates, one.fail_rates)
    assert torch.equal(second.fail_rates, one.fail_rates)
    assert float(one.fail_rates[0]) == pytest.approx(0.5 * 0.99**3 + (1 - 0.99**3) * 2 / 3, rel=1e-6)
    assert not first.counts.any()


def test_running_episodes_count_for_nothing() -> None:
    s = at_half()
    record(s, [0, 1, 1], [True] * 3, finished=[False, True, False])
    s.apply(World())
    assert s.fail_rates.tolist() == pytest.approx([0.5, 0.505, 0.5])


def test_an_unfinished_iteration_goes_on_from_a_saved_state() -> None:
    whole, resumed = at_half(), sampler()
    record(whole, [0, 0, 1], [True, False, True])
    record(resumed, [2], [False])
    resumed.load_state_dict(whole.state_dict())
    for s in (whole, resumed):
        record(s, [0, 1], [True, False])
        s.apply(World())
    assert torch.equal(resumed.fail_rates, whole.fail_rates)


def test_a_checkpoint_from_when_rates_moved_in_every_step_has_no_counts() -> None:
    s = sampler()
    record(s, [0], [False])
    s.load_state_dict({"fail_rates": torch.tensor([0.25, 0.5, 0.75])})
    s.apply(World())
    assert s.fail_rates.tolist() == [0.25, 0.5, 0.75]


def test_quantiles() -> None:
    s = sampler()
    s.set_fail_rates(torch.tensor([0.0, 0.5, 1.0]), "test")
    assert s.quantiles([0.5, 0.75]) == pytest.approx({"Fail_Rate_Q50": 0.5, "Fail_Rate_Q75": 0.75})


def test_rates_of_another_data_set_are_refused() -> None:
    with pytest.raises(DataError, match=r"rates\.pt: failure rates of 2 motions, but the data set has 3"):
        sampler().set_fail_rates(torch.ones(2), "rates.pt")
