"""Which bin of time is drawn how often, and which one is charged with a failure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from parc_core.character.kinematics import Kinematics
from parc_core.config.env_config import DeepMimicConfig
from parc_core.envs.bin_sampling import BinSampler, make_sampler
from parc_core.envs.sampling import MotionSampler
from parc_core.errors import ConfigError, DataError
from parc_core.system.world import ONE_PROCESS, World
from tests.envs.scenes import clip_of, env_of, humanoid, motion, shortened, write_dataset
from tests.motion.make_library import library_of

LENGTHS, WEIGHTS = (31, 91, 61), (1.0, 2.0, 1.0)  # 1, 3 and 2 s: bins 0 | 1 2 3 | 4 5
BASE = torch.tensor([1 / 4, 1 / 6, 1 / 6, 1 / 6, 1 / 8, 1 / 8], dtype=torch.float64)


def sampler(
    share: float = 0.0,
    min_weight: float = 0.01,
    seconds: float = 1.0,
    loop: bool = False,
    max_boost: float = 1.0,
) -> BinSampler:
    clips = [clip_of(shortened(motion("walk"), frames)) for frames in LENGTHS]
    library = library_of(clips, WEIGHTS, ["a", "b", "c"], Kinematics(humanoid()))
    library.loop_wrap[:] = loop
    return BinSampler(library, min_weight, torch.Generator().manual_seed(0), seconds, share, max_boost)


def visits(s: BinSampler) -> list[int]:
    return s.bin_counts[0].cumsum(0).tolist()


def record(s: BinSampler, *episodes: tuple[int, float, float, bool]) -> None:
    ids, starts, ends, failed = (torch.tensor(column) for column in zip(*episodes))
    finished = torch.ones(len(ids), dtype=torch.bool)
    s.record(ids, failed, finished)
    s.record_bins(ids, starts, ends, failed, finished)


@pytest.mark.parametrize("rate", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("share", [0.0, 0.15, 1.0])
def test_equal_rates_are_sampling_per_motion(rate: float, share: float) -> None:
    s = sampler(share, min_weight=0.0)
    s.set_fail_rates(torch.full((3,), rate), "test")
    assert_close(s.probabilities(), BASE, rtol=1e-9, atol=0)


def test_a_uniform_share_of_one_heeds_no_rates() -> None:
    s = sampler(share=1.0)
    s.bin_rates.copy_(torch.rand(6))
    assert_close(s.probabilities(), BASE, rtol=1e-9, atol=0)


def test_probabilities_by_hand() -> None:
    """A failure in bin 3 counts there, less in the two before, and not in another motion's."""
    s = sampler(share=0.2, min_weight=0.1)
    s.bin_rates.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0, 0.5]))
    rates = torch.tensor([0.1, 0.64 / 2.44, 0.8 / 1.8, 1.0, 0.4 / 1.8, 0.5], dtype=torch.float64)
    adapted = BASE * rates
    assert_close(s.probabilities(), 0.8 * adapted / adapted.sum() + 0.2 * BASE, rtol=1e-7, atol=0)


def test_draws_follow_the_probabilities_and_are_uniform_in_a_bin() -> None:
    s, n = sampler(share=0.2), 40000
    record(s, *[(1, 0.1, 2.5, True)] * 50, *[(0, 0.0, 1.0, False)] * 200)
    s.apply(ONE_PROCESS)
    ids, times = s.sample(n, random_time=True)
    bins, _ = s._locate(ids, times)
    assert (torch.bincount(bins, minlength=6) / n).tolist() == pytest.approx(
        s.probabilities().tolist(), abs=0.01
    )
    inside = times[bins == 3]
    assert float(inside.min()) >= 2.0
    assert float(inside.max()) <= 3.0
    assert float(inside.mean()) == pytest.approx(2.5, abs=0.02)
    assert not s.sample(10, random_time=False)[1].any()


def test_a_failure_is_charged_to_the_bin_where_it_happened() -> None:
    s = sampler()
    record(s, (1, 0.2, 2.5, True), (1, 1.5, 1.9, False), (2, 0.5, 2.1, False))
    assert visits(s) == [0, 1, 2, 1, 1, 1, 0]
    assert s.bin_counts[1].tolist() == [0, 0, 0, 1, 0, 0, 0]
    s.apply(ONE_PROCESS)
    assert s.bin_rates.tolist() == pytest.approx([1.0, 0.99, 0.99**2, 1.0, 0.99, 0.99])
    assert s.fail_rates.tolist() == pytest.approx([1.0, 0.99**2 + (1 - 0.99**2) / 2, 0.99])
    assert not s.bin_counts.any()


def test_running_episodes_are_not_counted() -> None:
    s, yes = sampler(), torch.tensor([True])
    s.record_bins(torch.tensor([1]), torch.tensor([0.0]), torch.tensor([2.0]), yes, ~yes)
    assert not s.bin_counts.any()


def test_a_looping_motion_counts_its_bins_once_for_each_loop() -> None:
    s = sampler(loop=True)
    record(s, (1, 1.5, 7.5, True))  # bins 2 3 | 1 2 3 | 1 2
    assert visits(s) == [0, 2, 3, 2, 0, 0, 0]
    assert s.bin_counts[1].tolist() == [0, 0, 1, 0, 0, 0, 0]


def test_processes_move_their_rates_together() -> None:
    episodes = [(0, 0.0, 0.5, True), (1, 0.2, 2.5, True), (1, 1.5, 1.9, False), (2, 0.0, 2.0, False)]
    alone, first, second = sampler(), sampler(), sampler()
    record(alone, *episodes)
    record(first, *episodes[:2])
    record(second, *episodes[2:])
    totals = {t.shape: t for t in (first.counts + second.counts, first.bin_counts + second.bin_counts)}

    class Pair(World):
        def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
            return tensor.copy_(totals[tensor.shape])

    alone.apply(ONE_PROCESS)
    for one in (first, second):
        one.apply(Pair())
        assert torch.equal(one.bin_rates, alone.bin_rates)
        assert torch.equal(one.probabilities(), alone.probabilities())


def test_state_goes_on_exactly() -> None:
    s, resumed = sampler(), sampler()
    record(s, (1, 0.2, 2.5, True))
    s.apply(ONE_PROCESS)
    record(s, (1, 0.2, 1.5, False))
    resumed.load_state_dict(s.state_dict())
    resumed._generator.set_state(s._generator.get_state())
    for each in (s, resumed):
        each.apply(ONE_PROCESS)
    assert torch.equal(resumed.bin_rates, s.bin_rates)
    for got, want in zip(resumed.sample(100, True), s.sample(100, True)):
        assert torch.equal(got, want)


def test_states_with_and_without_bins() -> None:
    s = sampler()
    plain = MotionSampler(s.library, 0.01, torch.Generator(), adaptive=True)
    plain.set_fail_rates(torch.tensor([0.5, 0.25, 1.0]), "test")
    s.load_state_dict(plain.state_dict())
    assert s.bin_rates.tolist() == [0.5, 0.25, 0.25, 0.25, 1.0, 1.0]
    assert set(plain.state_dict()) == {"fail_rates", "counts"}
    plain.load_state_dict(s.state_dict())
    with pytest.raises(DataError, match="failure rates of 6 bins of time, but the dataset has 12"):
        sampler(seconds=0.5).load_state_dict(s.state_dict())


def test_the_config_chooses() -> None:
    library, generator, off = sampler().library, torch.Generator(), DeepMimicConfig()
    bins = replace(off, sampling_bin_seconds=1.0)
    assert type(make_sampler(library, off, generator)) is MotionSampler
    assert type(make_sampler(library, bins, generator)) is BinSampler
    assert type(make_sampler(library, replace(bins, ignore_fail_rates=True), generator)) is MotionSampler
    with pytest.raises(ConfigError, match=r"'env\.dm\.sampling_bin_seconds' is 0\.01; set 0"):
        replace(off, sampling_bin_seconds=0.01)


def test_an_environment_goes_on_exactly(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, {"walk": motion("walk"), "stand": shortened(motion("stand"), 12)})
    env, other = (env_of(path, 6, seed, dm={"sampling_bin_seconds": 0.5}) for seed in (0, 1))
    env.reset()
    g = torch.Generator().manual_seed(0)
    actions = [torch.randn(6, env.action_dim, generator=g) for _ in range(24)]

    def play(each, some):  # type: ignore[no-untyped-def]
        for action in some:
            each.step(action)
            each.reset_done()
        each.end_iteration(ONE_PROCESS)

    play(env, actions[:12])
    assert float(env.sampler.bin_rates.min()) < 1.0
    other.load_state_dict(env.state_dict())
    for each in (env, other):
        play(each, actions[12:])
    assert torch.equal(other.sampler.bin_rates, env.sampler.bin_rates)
    assert torch.equal(other.start_times, env.start_times)


def test_hard_motions_are_drawn_twice_as_often_after_each_evaluation_up_to_a_limit() -> None:
    s = sampler(max_boost=3.0)
    played = torch.tensor([True, True, False])
    found = []
    for hard in ([True, False, True], [True, False, True], [False, False, True], [False, False, True]):
        s.heed_evaluation(played, torch.tensor(hard))
        found.append(s.boosts.tolist())
    assert found == [[2.0, 1.0, 1.0], [3.0, 1.0, 1.0], [1.5, 1.0, 1.0], [1.0, 1.0, 1.0]]
    s.heed_evaluation(played, torch.tensor([False, True, True]))
    expected = BASE * torch.tensor([1.0, 2, 2, 2, 1, 1], dtype=torch.float64)
    assert_close(s.probabilities(), expected / expected.sum())
    drawn = torch.bincount(s.sample(40_000, random_time=True)[0], minlength=3) / 40_000
    assert_close(drawn, torch.tensor([1 / 4, 1.0, 1 / 4]) / 1.5, atol=0.01, rtol=0)
    other = sampler(max_boost=3.0)
    other.load_state_dict(s.state_dict())
    assert torch.equal(other.probabilities(), s.probabilities())
    assert other.boosted() == {"Boosted_Motions": pytest.approx(1 / 3)}


def test_no_boost_is_above_the_limit() -> None:
    s = sampler(max_boost=3.0)
    s.heed_evaluation(torch.ones(3, dtype=torch.bool), torch.tensor([True, False, False]))
    for limit in (1.0, 1.5):
        other = sampler(max_boost=limit)
        other.load_state_dict(s.state_dict())
        assert other.boosts.tolist() == [limit, 1.0, 1.0]


def test_without_a_limit_above_one_evaluations_change_no_draws() -> None:
    s = sampler()
    s.heed_evaluation(torch.ones(3, dtype=torch.bool), torch.ones(3, dtype=torch.bool))
    assert s.boosts.tolist() == [1.0] * 3 and "boosts" not in s.state_dict() and s.boosted() == {}
