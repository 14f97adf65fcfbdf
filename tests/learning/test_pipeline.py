"""Updates beside the collection: against a plain loop in which every update comes one rollout late."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from parc_core.config.agent_config import ModelConfig, OptimizerConfig
from parc_core.errors import EXIT_BAD_CONFIG, ConfigError
from parc_core.learning.optimizers import trainable
from parc_core.learning.pipeline import PipelinedPPO, make_learner
from parc_core.learning.ppo import PPO
from parc_core.learning.streams import TwoStreams
from parc_core.system.world import World
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import small_config

SAMPLES = 64  # of an iteration: 8 environments × 8 steps
ITERATIONS = 7
CAUGHT_UP = (1, 4)
"""Iterations after which nothing is pending."""


class Recorder(FakeEnv):
    """Keeps the last step's true next observation."""

    def step(self, action):
        result = super().step(action)
        self.next_obs = result[0].clone()
        return result


def config_of(std="FIXED", falling=False, **changes):
    model = ModelConfig(
        actor_net="fc_2layers_16units",
        critic_net="fc_2layers_16units",
        actor_std_type=std,
        action_std=0.3,
        action_std_end=0.1 if falling else None,
        action_std_anneal_samples=5 * SAMPLES if falling else None,
    )
    optimizer = OptimizerConfig(type="Adam", learning_rate=1e-3, schedule=changes.pop("schedule", "linear"))
    return small_config(model=model, optimizer=optimizer, update_epochs=2, **changes)


def learner_of(kind, config, env):
    torch.manual_seed(0)
    return kind(env, config, seed=5, max_samples=10 * SAMPLES)


def numbers_of(info):
    return {name: value for name, value in info.items() if not name.endswith("_seconds")}


def weights_of(ppo):
    return copy.deepcopy(ppo.agent.model.state_dict())


def delayed(config, env):
    """The same training by a plain learner that is given the older weights back whenever it collects."""
    ppo = learner_of(PPO, config, env)
    obs, learned, pending, infos = env.reset(), weights_of(ppo), None, []
    plain_targets = ppo._targets

    @torch.no_grad()
    def decoupled_targets(late):
        """Weights of what another policy did, at most 2; the clipping is about the policy of now."""
        info, rollout = plain_targets(), ppo.rollout
        for t in range(rollout.steps) if late else ():
            policy = ppo.agent.model.actor(rollout.norm_obs[t])
            log_probs = policy.log_prob(rollout.norm_actions[t])
            weights = torch.exp(log_probs - rollout.log_probs[t])
            rollout.advantages[t] = rollout.advantages[t] * torch.minimum(weights, torch.tensor(2.0))
            rollout.log_probs[t], rollout.norm_means[t] = log_probs, policy.mean
            (rollout.logstd[t] if rollout.std_per_sample else rollout.logstd).copy_(policy.logstd)
        return info

    def learn():
        rollout, end_obs, samples, late = pending
        ppo._targets = lambda: decoupled_targets(late)
        ppo.agent.model.load_state_dict(learned)
        ppo.rollout.copy_(rollout)
        ppo.rollout.end_values[-1] = ppo.agent.values(end_obs)
        ppo._schedule = ppo._follow_schedules(samples)
        infos.append(numbers_of(ppo.update()))
        return weights_of(ppo)

    for iteration in range(1, ITERATIONS + 1):
        before, late = learned, pending is not None
        if late:
            learned = learn()
        samples = (iteration - 1) * SAMPLES
        ppo.agent.model.load_state_dict(before)
        obs = ppo.collect(obs, samples, record_obs=True)
        pending = copy.deepcopy(ppo.rollout), ppo.agent.normalize_obs(env.next_obs), samples, late
        ppo.agent.obs_norm.update()
        if iteration in CAUGHT_UP:
            learned, pending = learn(), None
    return learned, infos


def pipelined(config, env):
    ppo, obs, infos = learner_of(PipelinedPPO, config, env), env.reset(), []
    for iteration in range(1, ITERATIONS + 1):
        obs, ended = ppo.iterate(obs, (iteration - 1) * SAMPLES, record_obs=True)
        ppo.agent.obs_norm.update()
        if iteration in CAUGHT_UP:
            ended += ppo.catch_up()
        infos += map(numbers_of, ended)
    return ppo, infos


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"falling": True, "schedule": "adaptive"},
        {"std": "VARIABLE", "matmul_precision": "bf16"},
        {"std": "CONSTANT", "policy_average_samples": 100},
    ],
    ids=["linear rate", "falling std", "std of the state", "learned std"],
)
def test_every_update_comes_one_rollout_late(changes):
    config = config_of(**changes)
    envs = Recorder(), Recorder()
    for env in envs:
        env.can_time_out = False  # else a value within the rollout is that of the older critic
    weights, want = delayed(config, envs[0])
    ppo, infos = pipelined(config, envs[1])
    assert infos == want and len(infos) == ITERATIONS - 1
    for name, value in ppo.agent.model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert torch.equal(envs[0]._obs(), envs[1]._obs())
    (last,) = ppo.catch_up()
    assert numbers_of(last).keys() == infos[0].keys() and ppo.catch_up() == []


def test_caught_up_after_every_rollout_it_is_the_plain_training():
    config, ends = config_of(falling=True), []
    for kind in (PPO, PipelinedPPO):
        env = FakeEnv()
        ppo, obs, infos = learner_of(kind, config, env), env.reset(), []
        for iteration in range(4):
            obs, ended = ppo.iterate(obs, iteration * SAMPLES, record_obs=True)
            infos += [numbers_of(info) for info in ended + ppo.catch_up()]
            ppo.agent.obs_norm.update()
        ends.append((infos, [p.detach().clone() for p in trainable(ppo.agent.model)]))
    (plain, weights), (caught_up, others) = ends
    assert plain == caught_up and len(plain) == 4
    assert all(torch.equal(a, b) for a, b in zip(weights, others))


def test_the_ratio_is_that_to_the_policy_that_acted():
    """With a rate of almost 0 nothing changes, but where old probabilities were another policy's it would show."""
    config = config_of(falling=True, schedule="constant")
    config = dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, learning_rate=1e-12))
    _, infos = pipelined(config, FakeEnv())
    assert all(info["imp_ratio"] == pytest.approx(1.0, abs=1e-5) and info["kl"] < 1e-8 for info in infos)
    assert len({info["action_std"] for info in infos}) > 3


def test_the_collection_does_not_see_the_update(monkeypatch):
    """Its weights change at the hand-over alone, whatever the update does meanwhile."""
    env = FakeEnv()
    ppo = learner_of(PipelinedPPO, config_of(), env)
    obs, _ = ppo.iterate(env.reset(), 0, record_obs=False)
    before = [p.clone() for p in ppo._acting.model.parameters()]
    collect, seen = ppo.collect, []

    def watched(*args, **kwargs):
        seen.append([p.clone() for p in ppo._acting.model.parameters()])
        learned = [p.detach().clone() for p in ppo.agent.model.parameters()]
        assert not all(torch.equal(a, b) for a, b in zip(seen[-1], learned)), "the update has been made"
        return collect(*args, **kwargs)

    monkeypatch.setattr(ppo, "collect", watched)
    ppo.iterate(obs, SAMPLES, record_obs=False)
    assert all(torch.equal(a, b) for a, b in zip(seen[0], before))
    now = list(ppo._acting.model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(now, ppo.agent.model.parameters()))
    assert not any(p.requires_grad for p in now)


def test_times_are_those_of_what_was_collected_and_of_the_whole_iteration(monkeypatch):
    """By a clock on which a step takes 1 s and a minibatch 10 s; on a CPU an iteration is both."""
    clock = {"now": 0.0}
    monkeypatch.setattr("parc_core.learning.stage_timer.time.perf_counter", lambda: clock["now"])

    def tick(seconds):
        clock["now"] += seconds

    class Slow(FakeEnv):
        def step(self, action):
            tick(1.0)
            return super().step(action)

    env = Slow()
    ppo = learner_of(PipelinedPPO, config_of(), env)
    step, minibatches = ppo._step, 4  # 2 epochs of 64 samples in minibatches of 32
    monkeypatch.setattr(ppo, "_step", lambda ids: (tick(10.0), step(ids)))
    obs, infos = env.reset(), []
    for iteration in range(3):
        obs, ended = ppo.iterate(obs, iteration * SAMPLES, record_obs=False)
        infos += ended
    infos += ppo.catch_up()
    assert [info["collect_seconds"] for info in infos] == [8.0] * 3
    assert [info["update_seconds"] for info in infos] == [10.0 * minibatches] * 3
    assert [info["iteration_seconds"] for info in infos] == [8.0, 48.0, 88.0]
    assert sum(info["iteration_seconds"] for info in infos) == clock["now"]


def test_a_state_holds_no_pending_update_and_loading_one_gives_it_up():
    env = FakeEnv()
    ppo = learner_of(PipelinedPPO, config_of(), env)
    start = copy.deepcopy(ppo.state())
    ppo.iterate(env.reset(), 0, record_obs=False)
    with pytest.raises(RuntimeError, match="catch_up"):
        ppo.state()
    ppo.load_state(start, "the start")
    assert ppo.catch_up() == []
    with pytest.raises(RuntimeError, match="no rollout"):
        ppo.update()


def test_several_processes_are_refused():
    config = dataclasses.replace(config_of(), pipelined=True)
    with pytest.raises(ConfigError, match=r"pipelined.*here are 2.*gpus: 1") as error:
        make_learner(FakeEnv(), config, 0, 100, world=World(0, 2))
    assert error.value.exit_code == EXIT_BAD_CONFIG
    assert isinstance(make_learner(FakeEnv(), config, 0, 100), PipelinedPPO)
    assert type(make_learner(FakeEnv(), config_of(), 0, 100)) is PPO


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_streams_of_a_gpu_wait_where_they_have_to():
    """Long work on each stream, whose results the other reads after `fork` and `join`."""
    device = torch.device("cuda:0")
    streams, x = TwoStreams(device), torch.zeros(1 << 24, device=device)
    for _ in range(20):
        with streams.collection():
            for _ in range(50):
                x += 1.0
        streams.fork()
        with streams.update():
            y = x * 1.0
            for _ in range(50):
                y += 1.0
        streams.join()
        assert float(y.min()) == float(y.max()) == float(x.max()) + 50.0
