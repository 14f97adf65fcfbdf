"""The update against a plain loop, its gathered minibatches, the undone trial steps and the learning rate."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.learning.cuda_graph import Snapshot
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.losses import ppo_loss
from parc_core.learning.optimizers import (
    LearningRate,
    followed,
    load_optimizer_state,
    make_optimizer,
    optimizer_state,
    trainable,
)
from parc_core.learning.ppo import PPO
from parc_core.learning.returns import training_targets
from tests.learning.fake_env import FakeEnv

BOUNDS = (-100.0, 100.0)


def config_of(kind="SGD", std="FIXED", **changes):
    optimizer = OptimizerConfig(type=kind, learning_rate=1e-2, **changes.pop("optimizer", {}))
    nets = ModelConfig(
        actor_net="fc_2layers_16units", critic_net="fc_2layers_16units", actor_std_type=std, action_std=0.3
    )
    return AgentConfig(model=nets, optimizer=optimizer, **changes)


@torch.no_grad()
def setup(config, seed=5, heartbeat=lambda: None):
    """A learner whose rollout holds random numbers that its agent could have made; 5 steps of 6 environments."""
    torch.manual_seed(0)
    config = dataclasses.replace(config, steps_per_iter=5)
    ppo = PPO(FakeEnv(num_envs=6), config, seed, 10**9, heartbeat)
    rollout = ppo.rollout
    # Drawn as float32: normal_() of a bfloat16 tensor gives other numbers on GPUs and in older PyTorch.
    rollout.norm_obs.copy_(torch.randn(rollout.norm_obs.shape))
    dist = ppo.agent.model.actor(rollout.norm_obs.flatten(0, 1))
    shape = rollout.norm_means.shape
    rollout.norm_means.copy_(dist.mean.view(shape))
    rollout.logstd.copy_(dist.logstd.view_as(rollout.logstd))
    std = rollout.logstd.exp()
    rollout.norm_actions.copy_(rollout.norm_means + std * torch.randn(shape))
    rollout.log_probs.copy_(DiagGaussian(rollout.norm_means, rollout.logstd).log_prob(rollout.norm_actions))
    rollout.explored.bernoulli_(0.8)
    rollout.rewards.normal_()
    rollout.dones.copy_(torch.tensor([0, 0, 0, 1, 3, 2])[torch.randint(6, (5, 6))])
    rollout.end_values.normal_()
    ppo._timer.start()  # as `collect` would have
    ppo._timer.lap()
    return ppo


def plain_update(agent, rollout, config, generator):
    """The same passes without anything clever. Returns the means of the log entries."""
    model, params = agent.model, trainable(agent.model)
    options = {"lr": config.optimizer.learning_rate, "weight_decay": config.optimizer.weight_decay}
    if config.optimizer.type == "SGD":
        options["momentum"] = config.optimizer.momentum
    optimizer = getattr(torch.optim, config.optimizer.type)(params, **options)
    with torch.no_grad():
        values = model.critic(rollout.all_samples().norm_obs).view_as(rollout.rewards)
    training_targets(rollout, values, BOUNDS, config)
    data = rollout.all_samples()
    infos = []
    for _ in range(config.update_epochs):
        order = torch.randperm(rollout.num_samples, generator=generator)
        for ids in order.split(config.batch_size * 6):
            logstd = data.logstd[ids] if rollout.std_per_sample else data.logstd
            batch = type(data)(*(part[ids] for part in data[:-1]), logstd=logstd)
            loss, info = ppo_loss(model, batch, config)
            optimizer.zero_grad()
            loss.backward()
            info["grad_norm"] = torch.nn.utils.clip_grad_norm_(params, config.max_grad_norm)
            optimizer.step()
            infos.append(info)
    return {name: float(torch.stack([info[name] for info in infos]).mean()) for name in infos[0]}


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("std", ["FIXED", "CONSTANT", "VARIABLE"])
def test_update_is_the_plain_loop(kind, std):
    """30 samples in minibatches of 12, 12 and 6: the last is smaller."""
    config = config_of(kind, std, batch_size=2, update_epochs=3, max_grad_norm=0.5)
    beats = []
    ppo = setup(config, heartbeat=lambda: beats.append(1))
    agent = ppo.agent
    twin = copy.deepcopy(agent)
    before = [p.clone() for p in trainable(agent.model)]
    want = plain_update(twin, copy.deepcopy(ppo.rollout), config, torch.Generator().manual_seed(5))
    info = ppo.update()
    assert len(beats) == 9
    for now, other, old in zip(trainable(agent.model), trainable(twin.model), before):
        assert_close(now, other, rtol=1e-6, atol=1e-7)
        assert not torch.equal(now, old)
    assert info["all_finite"] == 1.0 and info["learning_rate"] == pytest.approx(1e-2)
    for name, value in want.items():
        assert info[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def losses(ppo):
    """The numbers of an update without its times."""
    return {name: value for name, value in ppo.update().items() if not name.endswith("_seconds")}


def test_a_second_update_starts_from_zero_sums():
    ppo = setup(config_of(batch_size=4, update_epochs=1))
    ppo.rate.set(0.0)
    first = losses(ppo)
    ppo.reseed(5)
    assert first == pytest.approx(losses(ppo), rel=1e-6)


def test_bfloat16_takes_nearly_the_same_step():
    config = config_of("SGD", batch_size=5, update_epochs=1)
    steps = []
    for precision, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        ppo = setup(dataclasses.replace(config, matmul_precision=precision))
        assert ppo.rollout.norm_obs.dtype == dtype
        before = torch.cat([p.detach().flatten().clone() for p in trainable(ppo.agent.model)])
        ppo.update()
        steps.append(torch.cat([p.detach().flatten() for p in trainable(ppo.agent.model)]) - before)
    error = (steps[0] - steps[1]).norm() / steps[0].norm()
    assert 1e-6 < error < 0.05


def test_weights_and_normalizer_that_are_not_finite_are_noticed():
    for spoil in ("weights", "normalizer"):
        ppo = setup(config_of(batch_size=5, update_epochs=1))
        if spoil == "normalizer":
            ppo.agent.obs_norm.record(torch.full((2, ppo.rollout.norm_obs.shape[-1]), float("inf")))
        else:
            ppo.rollout.rewards[0, 0] = float("nan")
        assert ppo.update()["all_finite"] == 0.0


class Waits(Exception):
    pass


def test_one_transfer_an_update(monkeypatch):
    """With everything that reads a number off the device forbidden, but for one tolist."""
    config = config_of("SGD", batch_size=2, update_epochs=2)
    ppo = setup(config)
    transfers = []
    tolist = torch.Tensor.tolist

    def refuse(*args, **kwargs):
        raise Waits

    for name in ("item", "nonzero", "__bool__", "__float__", "__int__", "cpu", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: transfers.append(1) or tolist(self))
    ppo.update()
    assert len(transfers) == 1


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Muon"])
@pytest.mark.parametrize("taken", [0, 2])
def test_trial_steps_leave_no_trace(kind, taken):
    """After `taken` real steps, three trial steps and their undoing, the next step is what it would have been."""
    config = config_of(kind, batch_size=2)
    ends = []
    for trial_steps in (0, 3):
        ppo = setup(config)
        ppo._targets()
        for n in range(taken):
            ppo._gradient_step(torch.arange(n, n + 12))
        if trial_steps:
            undo = Snapshot(ppo._optimizer, ppo._sums)
            for n in range(trial_steps):
                ppo._gradient_step(torch.arange(2 * n, 2 * n + 12))
            undo.restore()
        for n in range(2):
            ppo._gradient_step(torch.arange(n + 5, n + 17))
        ends.append([ppo._sums, *(p.detach().clone() for p in ppo.agent.model.parameters())])
    for a, b in zip(*ends):
        assert torch.equal(a, b)


def test_a_rate_that_is_a_tensor_is_put_back_too():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=torch.tensor(0.5))
    rate = LearningRate(optimizer)
    undo = Snapshot(optimizer)
    rate.follow(torch.tensor(9.0), desired=0.01)
    assert float(rate.now) == pytest.approx(1e-2)
    undo.restore()
    assert float(rate.now) == 0.5


CASES = [(0.021, 1 / 1.5), (0.02, 1.0), (0.01, 1.0), (0.0051, 1.0), (0.0049, 1.5), (0.0, 1.0)]


@pytest.mark.parametrize(("kl", "factor"), CASES)
def test_adaptive_rate(kl, factor):
    """By hand, for a rate on the device and one on the host; desired KL 0.01."""
    for lr in (1e-3, torch.tensor(1e-3)):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)
        rate = LearningRate(optimizer)
        assert rate.on_device == isinstance(lr, torch.Tensor)
        rate.follow(torch.tensor(kl), desired=0.01)
        assert float(rate.now) == pytest.approx(1e-3 * factor)
    assert followed(1.2e-5, 1.0, 0.01) == 1e-5 and followed(9e-3, 1e-4, 0.01) == 1e-2


def test_adaptive_rate_holds_the_policy_near_the_old_one():
    config = config_of("Adam", batch_size=5, update_epochs=40, optimizer={"schedule": "adaptive"})
    free = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, schedule="constant"))
    kls = {}
    for name, each in (("adaptive", config), ("free", free)):
        info = setup(each, seed=0).update()
        kls[name] = info["kl"]
        assert (info["learning_rate"] == pytest.approx(1e-2)) == (name == "free")
    assert kls["adaptive"] < 0.03 < kls["free"]


def test_kl_is_that_of_the_rollouts_policy():
    config = config_of(batch_size=5, update_epochs=1)
    ppo = setup(config)
    ppo.rollout.norm_means += 0.3  # as if the policy had moved by one standard deviation in each of 3 actions
    assert ppo.update()["kl"] == pytest.approx(1.5, rel=1e-4)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_optimizer_state_goes_between_rates_on_host_and_device(kind):
    """A checkpoint holds numbers; loading keeps the rate where it is and takes its value over."""
    saved_from = torch.nn.Parameter(torch.ones(3))
    config = OptimizerConfig(type=kind, learning_rate=0.25)
    source = make_optimizer(torch.nn.ParameterList([saved_from]), config)
    saved_from.grad = torch.ones(3)
    source.step()
    state = optimizer_state(source)
    assert all(type(group["lr"]) is float for group in state["param_groups"])
    target_param = torch.nn.Parameter(torch.ones(3))
    lr = torch.tensor(0.75)
    cls, extra = (torch.optim.SGD, {"momentum": 0.9}) if kind == "SGD" else (torch.optim.Adam, {})
    target = cls([target_param], lr=lr, **extra)
    load_optimizer_state(target, state)
    rate = LearningRate(target)
    assert rate.on_device and target.param_groups[0]["lr"] is lr and float(lr) == 0.25
    ours, theirs = (optimizer.state_dict()["state"][0] for optimizer in (source, target))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(torch.as_tensor(ours[k]), torch.as_tensor(theirs[k])) for k in ours)
    assert math.isclose(float(rate.now), 0.25)
