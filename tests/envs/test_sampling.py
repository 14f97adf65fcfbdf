"""Which motion is drawn how often, and how failure rates move."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from parc_core.character.kinematics import Kinematics
from parc_core.envs.sampling import MotionSampler
from parc_core.errors import DataError
from parc_core.motion.library import MotionLibrary
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


def test_rates_start_at_one_and_follow_single_episodes() -> None:
    s = sampler()
    rate = 1.0
    for failed in (False, False, True, False, True):
        s.record(torch.tensor([1]), torch.tensor([failed]), torch.tensor([True]))
        rate = 0.99 * rate + 0.01 * failed
    assert s.fail_rates.tolist() == pytest.approx([1.0, rate, 1.0], rel=1e-6)


def test_episodes_of_different_motions_count_apart() -> None:
    together, apart = sampler(), sampler()
    ids, failed = torch.tensor([2, 0]), torch.tensor([False, True])
    together.set_fail_rates(torch.full((3,), 0.5), "test")
    apart.set_fail_rates(torch.full((3,), 0.5), "test")
    together.record(ids, failed, torch.tensor([True, True]))
    for i in range(2):
        apart.record(ids[i : i + 1], failed[i : i + 1], torch.tensor([True]))
    assert_close(together.fail_rates, apart.fail_rates)
    assert together.fail_rates.tolist() == pytest.approx([0.505, 0.5, 0.495])


def test_episodes_of_one_motion_that_agree_count_like_one_after_the_other() -> None:
    s = sampler()
    s.record(torch.tensor([0, 0, 0]), torch.tensor([False] * 3), torch.tensor([True] * 3))
    assert float(s.fail_rates[0]) == pytest.approx(0.99**3, rel=1e-6)
    s.record(torch.tensor([0, 0]), torch.tensor([True, False]), torch.tensor([True, True]))
    keep = 0.99**2
    assert float(s.fail_rates[0]) == pytest.approx(0.99**3 * keep + (1 - keep) * 0.5, rel=1e-6)


def test_running_episodes_count_for_nothing() -> None:
    s = sampler()
    s.set_fail_rates(torch.full((3,), 0.5), "test")
    ids, failed, finished = (
        torch.tensor([0, 1, 1]),
        torch.tensor([True] * 3),
        torch.tensor([False, True, False]),
    )
    s.record(ids, failed, finished)
    assert s.fail_rates.tolist() == pytest.approx([0.5, 0.505, 0.5])


def test_quantiles() -> None:
    s = sampler()
    s.set_fail_rates(torch.tensor([0.0, 0.5, 1.0]), "test")
    assert s.quantiles([0.5, 0.75]) == pytest.approx({"Fail_Rate_Q50": 0.5, "Fail_Rate_Q75": 0.75})


def test_rates_of_another_data_set_are_refused() -> None:
    with pytest.raises(DataError, match=r"rates\.pt: failure rates of 2 motions, but the data set has 3"):
        sampler().set_fail_rates(torch.ones(2), "rates.pt")
