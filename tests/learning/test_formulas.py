"""Normalizer, Gaussian, returns, advantages and losses against cases computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.errors import ConfigError
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.losses import critic_loss, loss_names, ppo_loss
from parc_core.learning.networks import ActorCritic, hidden_sizes
from parc_core.learning.normalizer import Normalizer
from parc_core.learning.optimizers import make_optimizer
from parc_core.learning.returns import (
    bootstrap_values,
    normalized_advantages,
    td_lambda_returns,
    value_bounds,
)
from parc_core.learning.rollout import Batch
from parc_core.learning.schedules import action_std, explore_probability, learning_rate
from parc_core.system.world import World


def test_normalizer_by_hand():
    norm = Normalizer(2, clip=1.5, norm_mask=torch.tensor([True, False]))
    norm.record(torch.tensor([[1.0, 7.0], [3.0, 7.0]]))
    assert norm._mean.tolist() == [0.0, 0.0]  # nothing moves before update()
    norm.record(torch.tensor([[5.0, 9.0], [7.0, 9.0]]))
    norm.update()
    assert norm.count == 4
    assert_close(norm._mean, torch.tensor([4.0, 0.0]))
    assert_close(norm._std, torch.tensor([math.sqrt(5.0), 1.0]))
    y = norm.normalize(torch.tensor([[4.0 + math.sqrt(5.0), 1.0], [100.0, -3.0]]))
    assert_close(y, torch.tensor([[1.0, 1.0], [1.5, -1.5]]))
    assert_close(norm.unnormalize(torch.tensor([1.0, 2.0])), torch.tensor([4.0 + math.sqrt(5.0), 2.0]))


def test_normalizer_does_not_cancel():
    """Mean 10⁴, std 10⁻²: float32 sums of squares would lose the variance."""
    x = 1e4 + 1e-2 * torch.randn(4096, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    norm = Normalizer(1)
    for part in x.split(100):
        norm.record(part)
    norm.update()
    assert_close(norm._std.double(), x.std(0, unbiased=False), rtol=1e-5, atol=0)


def test_normalizer_in_float32_is_exact_to_float32():
    """Batches of float32 about a far mean, against float64 over everything."""
    generator = torch.Generator().manual_seed(1)
    x = 300.0 + torch.tensor([0.01, 1.0, 50.0]) * torch.randn(5000, 3, generator=generator)
    norm = Normalizer(3)
    for part in x.split(512):
        norm.record(part)
    norm.update()
    assert_close(norm._mean.double(), x.double().mean(0), rtol=1e-7, atol=0)
    assert_close(norm._std.double(), x.double().std(0, unbiased=False), rtol=1e-6, atol=0)


def test_normalizer_writes_into_a_narrower_type():
    norm = Normalizer(3, clip=2.0)
    norm.set_mean_std(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 1.0, 2.0]))
    x = torch.randn(50, 3) * 3
    kept, out = x.clone(), torch.empty(50, 3, dtype=torch.bfloat16)
    assert norm.normalize(x, out=out) is out
    assert torch.equal(out, norm.normalize(x).bfloat16()) and out.abs().max() == 2.0
    assert torch.equal(x, kept)


def test_normalizer_goes_on_after_a_model_file():
    a, b = torch.randn(2, 64, 3).unbind(0)
    whole, loaded = Normalizer(3), Normalizer(3)
    whole.record(a)
    whole.update()
    loaded.load_state_dict(whole.state_dict())
    loaded.moments_from_stats()
    for norm in (whole, loaded):
        norm.record(b)
        norm.update()
    assert_close(loaded._mean, whole._mean)
    assert_close(loaded._std, whole._std)
    assert loaded.count == whole.count == 128


def test_normalizer_notices_numbers_that_are_not_finite():
    norm = Normalizer(2)
    norm.record(torch.tensor([[0.0, float("nan")]]))
    assert not norm.moments_finite()


def test_gaussian_by_hand():
    dist = DiagGaussian(torch.tensor([[0.0, 1.0]]), torch.log(torch.tensor([1.0, 2.0])))
    # −½(1² + 1²) − log 2 − log 2π
    want = -1.0 - math.log(2) - math.log(2 * math.pi)
    assert_close(dist.log_prob(torch.tensor([[1.0, 3.0]])), torch.tensor([want]))
    assert_close(dist.entropy(), torch.tensor([math.log(2) + 1 + math.log(2 * math.pi)]))
    unit = DiagGaussian(torch.zeros(1, 2), torch.zeros(2))
    # second dimension: ½(4 + 1 − 1) − log 2
    assert_close(dist.kl(unit), torch.tensor([2.0 - math.log(2)]))
    assert_close(dist.param_reg(), torch.tensor([1.0]))
    far = DiagGaussian(torch.tensor([[1.5, -3.0, 0.9]]), torch.zeros(3))
    assert_close(far.bound_violation(), torch.tensor([0.25 + 4.0]))


def test_gaussian_samples_follow_the_generator():
    dist = DiagGaussian(torch.zeros(3, 2), torch.zeros(2))
    draws = [dist.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_td_lambda_by_hand():
    rewards = torch.tensor([[1.0], [2.0], [3.0]])
    next_values = torch.tensor([[10.0], [20.0], [30.0]])
    dones = torch.tensor([[0], [3], [0]])
    # t=2: 3 + ½·30 = 18; t=1 ended: 2 + ½·20 = 12; t=0: 1 + ½(½·10 + ½·12) = 6.5
    got = td_lambda_returns(rewards, next_values, dones, discount=0.5, td_lambda=0.5)
    assert_close(got, torch.tensor([[6.5], [12.0], [18.0]]))


def test_bootstrap_and_bounds():
    assert value_bounds(-5.0, 6.0, 0.99, "exact") == pytest.approx((-500.0, 600.0))
    assert value_bounds(1.0, 2.0, 0.5, "exact") == (0.0, 4.0)  # a failed episode's 0 is possible too
    assert value_bounds(-5.0, 6.0, 0.99, "reference") == pytest.approx((0.0, 100.0))
    values = torch.tensor([[7.0, 7.0, 7.0, 7.0, -9.0]])
    dones = torch.tensor([[0, 1, 2, 3, 0]])
    got = bootstrap_values(values, dones, (-2.0, 5.0))
    assert got.tolist() == [[5.0, 0.0, 0.0, 5.0, -2.0]]


def test_advantages_use_explored_samples_alone():
    adv = torch.tensor([[1.0, 3.0, 100.0]])
    got, mean, std = normalized_advantages(adv, torch.tensor([[True, True, False]]), clip=4.0)
    assert_close(mean, torch.tensor(2.0))
    assert_close(std, torch.tensor(math.sqrt(2.0)))
    assert_close(got, torch.tensor([[-1 / math.sqrt(2), 1 / math.sqrt(2), 4.0]]))
    got, _, _ = normalized_advantages(adv, torch.zeros(1, 3, dtype=torch.bool), clip=4.0)
    assert got.tolist() == [[0.0, 0.0, 0.0]]


def batch_of(**parts):
    """3 samples that observe 2 numbers and act with 1; the policy that collected them had mean 0 and std 1."""
    values = {
        "norm_obs": torch.ones(3, 2),
        "norm_actions": torch.zeros(3, 1),
        "norm_means": torch.zeros(3, 1),
        "log_probs": torch.zeros(3),
        "explored": torch.ones(3, dtype=torch.bool),
        "advantages": torch.zeros(3),
        "targets": torch.ones(3),
        "logstd": torch.zeros(1),
    }
    return Batch(**{**values, **parts})


def test_clipped_surrogate_by_hand():
    """Ratios 1.5, 0.5 and (not explored) 9 with ε = 0.2: min(2·1.5, 2·1.2) and min(−0.5, −0.8)."""
    model = ActorCritic(2, 1, [4], [4], std=1.0, output_scale=0.0)  # mean 0
    logp = DiagGaussian(torch.zeros(3, 1), torch.zeros(1)).log_prob(torch.zeros(3, 1))
    batch = batch_of(
        log_probs=logp - torch.log(torch.tensor([1.5, 0.5, 9.0])),
        advantages=torch.tensor([2.0, -1.0, 50.0]),
        explored=torch.tensor([True, True, False]),
    )
    _, info = ppo_loss(model, batch, AgentConfig(action_bound_weight=0))
    assert_close(info["actor_loss"], torch.tensor(-(2.4 - 0.8) / 2))
    assert_close(info["clip_frac"], torch.tensor(1.0))
    assert_close(info["imp_ratio"], torch.tensor(1.0))
    assert_close(info["kl"], torch.tensor(0.0))
    assert "action_bound_loss" not in info


def test_a_minibatch_without_exploration_has_a_finite_loss():
    model = ActorCritic(2, 1, [4], [4])
    loss, info = ppo_loss(model, batch_of(explored=torch.zeros(3, dtype=torch.bool)), AgentConfig())
    loss.backward()
    assert info["actor_loss"] == 0 and torch.isfinite(loss)
    assert torch.isfinite(model._critic_out.weight.grad).all()


def test_every_log_entry_is_named():
    """`loss_names` says before the first step what it will log."""
    for config in (AgentConfig(), AgentConfig(action_bound_weight=0), AgentConfig(action_entropy_weight=0.1)):
        _, info = ppo_loss(ActorCritic(2, 1, [4], [4]), batch_of(), config)
        assert sorted([*info, "grad_norm"]) == sorted(loss_names(config))


def test_critic_loss_by_hand():
    values, targets = torch.tensor([0.0, 0.0]), torch.tensor([1.0, -3.0])
    assert critic_loss(values, targets, "L2") == 5.0
    assert critic_loss(values, targets, "L1") == 2.0


def test_network_names():
    assert hidden_sizes("fc_2layers_1024units") == [1024, 512]
    assert hidden_sizes("fc_3layers_1024units") == [1024, 1024, 512]
    assert hidden_sizes("fc_3layers_2048units") == [2048, 1024, 512]
    assert hidden_sizes("fc_2layers_64units") == [64, 32]
    assert hidden_sizes("fc_1layers_64units") == [64]
    with pytest.raises(ConfigError, match="cnn_big"):
        hidden_sizes("cnn_big")


def test_initial_networks():
    model = ActorCritic(5, 3, [8, 4], [8, 4], "FIXED", 0.05, output_scale=0.01)
    assert all((p == 0).all() for name, p in model.named_parameters() if name.endswith("bias"))
    assert model._action_dist._mean_net.weight.abs().max() <= 0.01
    assert_close(model.actor(torch.zeros(2, 5)).std, torch.full((2, 3), 0.05))
    trainable = {std: sum(p.requires_grad for p in nets.parameters()) for std, nets in std_types().items()}
    assert trainable["CONSTANT"] == trainable["FIXED"] + 1 and trainable["VARIABLE"] == trainable["FIXED"] + 2


def std_types():
    return {std: ActorCritic(5, 3, [8], [8], std) for std in ("FIXED", "CONSTANT", "VARIABLE")}


def test_optimizers():
    model = ActorCritic(2, 1, [4], [4])
    for name in ("SGD", "Adam", "AdamW"):
        optimizer = make_optimizer(model, OptimizerConfig(type=name, learning_rate=0.5, weight_decay=0.25))
        assert type(optimizer).__name__ == name
        assert optimizer.param_groups[0]["lr"] == 0.5 and optimizer.param_groups[0]["weight_decay"] == 0.25
        assert len(optimizer.param_groups[0]["params"]) == sum(p.requires_grad for p in model.parameters())


def test_schedules():
    config = AgentConfig(exp_anneal_samples=100, exp_prob_beg=1.0, exp_prob_end=0.2)
    assert [explore_probability(config, n) for n in (0, 50, 1000)] == pytest.approx([1.0, 0.6, 0.2])
    assert explore_probability(AgentConfig(exp_prob_beg=0.7), 10**9) == 0.7
    linear = OptimizerConfig(learning_rate=1.0, schedule="linear")
    assert [learning_rate(linear, n, 100) for n in (0, 75, 100)] == pytest.approx([1.0, 0.25, 0.0])
    assert learning_rate(OptimizerConfig(learning_rate=1.0), 75, 100) == 1.0
    adaptive = OptimizerConfig(schedule="adaptive")
    assert learning_rate(adaptive, 50, 100) is None


def test_falling_standard_deviation():
    falling = ModelConfig(action_std=0.3, action_std_end=0.1, action_std_anneal_samples=1000)
    assert [action_std(falling, n, 10**6) for n in (0, 500, 5000)] == pytest.approx([0.3, 0.2, 0.1])
    with_the_training = ModelConfig(action_std=0.3, action_std_end=0.1)
    falls = [action_std(with_the_training, n, 1000) for n in (0, 450, 900, 1000)]
    assert falls == pytest.approx([0.3, 0.2, 0.1, 0.1])
    assert action_std(with_the_training, 450, 2000) == pytest.approx(0.25)  # longer training, slower fall
    assert action_std(ModelConfig(), 5000, 10**6) is None
    model = ActorCritic(5, 3, [8], [8], "FIXED", 0.3)
    model.head.set_std(0.2)
    assert_close(model.actor(torch.zeros(2, 5)).std, torch.full((2, 3), 0.2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"action_std_anneal_samples": 10}, "needs model.action_std_end"),
        ({"action_std_end": 0.1, "action_std_anneal_samples": 10, "actor_std_type": "VARIABLE"}, "FIXED"),
    ],
)
def test_settings_of_the_standard_deviation_that_do_not_go_together(values, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**values)


def test_advantages_by_masked_sums_are_those_of_the_chosen():
    generator = torch.Generator().manual_seed(2)
    adv = 50.0 + torch.randn(32, 64, generator=generator)
    explored = torch.rand(32, 64, generator=generator) < 0.7
    got, mean, std = normalized_advantages(adv, explored, clip=2.0)
    want_std, want_mean = torch.std_mean(adv[explored].double())
    assert_close(mean.double(), want_mean, rtol=1e-6, atol=0)
    assert_close(std.double(), want_std, rtol=1e-5, atol=0)
    assert_close(got.double(), ((adv.double() - want_mean) / want_std).clamp(-2, 2), rtol=1e-4, atol=1e-4)
    one = torch.zeros(32, 64, dtype=torch.bool)
    one[3, 4] = True
    got, mean, std = normalized_advantages(adv, one, clip=2.0)
    assert (mean, std) == (0.0, 1.0) and not got.any()


def test_td_lambda_of_random_episodes_is_the_recursion():
    generator = torch.Generator().manual_seed(3)
    rewards, values = torch.randn(2, 20, 7, generator=generator, dtype=torch.float64).unbind(0)
    dones = (torch.rand(20, 7, generator=generator) < 0.2).long() * 3
    want, after = torch.zeros(20, 7, dtype=torch.float64), values[-1]
    for t in reversed(range(20)):
        share = 0.9 * (dones[t] == 0).double()
        after = rewards[t] + 0.97 * ((1 - share) * values[t] + share * after)
        want[t] = after
    assert_close(td_lambda_returns(rewards, values, dones, 0.97, 0.9), want, rtol=1e-12, atol=1e-12)


class Pair(World):
    """Two processes of which the other's part of every sum is known: `others` in the order of the sums."""

    def __init__(self, *others):
        super().__init__(0, 2)
        self._others = list(others)

    def sum_(self, tensor):
        return tensor.add_(self._others.pop(0).to(tensor))


def test_a_normalizer_learns_from_all_processes():
    torch.manual_seed(0)
    mine, theirs, before = torch.randn(50, 3) * 4 + 100, torch.randn(50, 3) - 7, torch.randn(20, 3)
    alone, first = Normalizer(3), Normalizer(3)
    for normalizer in (alone, first):
        normalizer.record(before)
        normalizer.update()
    alone.record(mine)
    alone.record(theirs)
    alone.update()
    first.record(mine)
    mean = 0.5 * (mine.double().mean(0) + theirs.double().mean(0))
    m2 = (theirs.double() - mean).square().sum(0)
    first.update(Pair(theirs.double().mean(0), m2))
    assert first.count == alone.count == 120
    assert_close(first._mean, alone._mean, rtol=1e-6, atol=1e-6)
    assert_close(first._std, alone._std, rtol=1e-6, atol=1e-6)


def test_advantages_are_normalized_over_all_processes():
    torch.manual_seed(0)
    adv, explored = torch.randn(4, 6), torch.rand(4, 6) < 0.8
    want, mean, std = normalized_advantages(adv, explored, clip=4.0)
    other = torch.where(explored, adv, torch.zeros_like(adv))[:, 3:].double()
    world = Pair(
        torch.stack((explored[:, 3:].sum().double(), other.sum())),
        (other - mean.double()).square()[explored[:, 3:]].sum(),
    )
    got, got_mean, got_std = normalized_advantages(adv[:, :3], explored[:, :3], 4.0, world)
    assert_close(got, want[:, :3], rtol=1e-5, atol=1e-6)
    assert_close(got_mean, mean)
    assert_close(got_std, std)
