"""Golden file 06: TD(λ), normalizer, Gaussian, action bounds, PPO losses and gradients, training data."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from parc_core.character.mjcf import load_character
from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.envs.observation import ObservationLayout, Sizes
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.losses import ppo_loss
from parc_core.learning.model_file import build_agent, read_model_file
from parc_core.learning.normalizer import Normalizer
from parc_core.learning.returns import bootstrap_values, td_lambda_returns, training_targets, value_bounds
from parc_core.learning.rollout import Batch, Rollout

DISCOUNT = 0.99


@pytest.fixture(scope="module")
def golden(golden_dir):
    path = golden_dir / "06_learning.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    data = np.load(path)
    return {key: torch.as_tensor(data[key]) for key in data.files}


@pytest.fixture(scope="module")
def agent(golden_dir):
    files = sorted(golden_dir.glob("06_*.pt"))
    if not files:
        pytest.skip(f"{golden_dir} has no 06_*.pt")
    return build_agent(read_model_file(files[0]))


def test_td_lambda(golden):
    keys = [key for key in golden if key.startswith("td_ret_")]
    assert keys
    for key in keys:
        discount, td_lambda = (float(part[1:]) for part in key[len("td_ret_") :].split("_"))
        got = td_lambda_returns(
            golden["td_r"], golden["td_next_vals"], golden["td_done"], discount, td_lambda
        )
        assert_close(got, golden[key], atol=1e-4, rtol=1e-5)


def make_normalizer(golden):
    mask = torch.ones(golden["norm_x"].shape[-1], dtype=torch.bool)
    mask[golden["norm_non_norm_indices"]] = False
    return Normalizer(len(mask), clip=10.0, norm_mask=mask, min_std=float(golden["norm_min_std"]))


def batches(golden):
    """Number of updates, and the records of each."""
    count = 0
    while f"norm_mean_after{count}" in golden:
        records = [golden[k] for k in sorted(golden) if k.startswith(f"norm_batch{count}_rec")]
        yield count, records
        count += 1


def check_mean(normalizer, mean, std):
    """The reference sums in float32: off by 1e-6 of the numbers' size."""
    error = (normalizer._mean - mean).abs()
    assert (error <= 2e-6 * (mean.abs() + std) + 1e-6).all(), (normalizer._mean, mean)


def check_std(normalizer, reference_std, mean):
    """The reference takes mean(x²) − mean² in float32: its variance is off by ~1e-6 of mean² + variance."""
    slack = 2e-6 * (mean.square() + reference_std.square()) + 1e-12
    error = (normalizer._std.square() - reference_std.square()).abs()
    floor = normalizer.min_std**2
    assert (error <= slack + floor).all(), (normalizer._std, reference_std)


def test_normalizer(golden):
    normalizer = make_normalizer(golden)
    for index, records in batches(golden):
        for record in records:
            normalizer.record(record)
        normalizer.update()
        mean, std = golden[f"norm_mean_after{index}"], golden[f"norm_std_after{index}"]
        assert normalizer.count == int(golden[f"norm_count_after{index}"])
        check_mean(normalizer, mean, std)
        check_std(normalizer, std, mean)
        use = ~normalizer._fixed
        moments = normalizer.moments()
        squares = moments["m2"] / normalizer.count + moments["mean"].square()
        want = golden[f"norm_mean_sq_after{index}"].double()
        assert_close(squares[use], want[use], atol=1e-6, rtol=1e-5)


def test_normalizer_is_the_exact_mean_and_std(golden):
    normalizer = make_normalizer(golden)
    everything = [record for _, records in batches(golden) for record in records]
    for record in everything:
        normalizer.record(record)
    normalizer.update()
    x = torch.cat(everything).double()
    use = ~normalizer._fixed
    assert_close(normalizer._mean[use].double(), x.mean(0)[use], atol=1e-6, rtol=1e-6)
    true_std = x.std(0, unbiased=False).clamp_min(normalizer.min_std)
    assert_close(normalizer._std[use].double(), true_std[use], atol=1e-9, rtol=1e-6)


def last_stats(golden):
    index = max(i for i, _ in batches(golden))
    return {
        "_count": golden[f"norm_count_after{index}"],
        "_mean": golden[f"norm_mean_after{index}"],
        "_std": golden[f"norm_std_after{index}"],
    }


def test_normalize_and_unnormalize(golden):
    normalizer = make_normalizer(golden)
    normalizer.load_state_dict(last_stats(golden))
    assert_close(normalizer.normalize(golden["norm_x"]), golden["norm_y"], atol=1e-5, rtol=1e-5)
    assert_close(normalizer.unnormalize(golden["norm_y"]), golden["norm_unnorm"], atol=1e-4, rtol=1e-5)


def test_normalizer_goes_on_from_a_model_file(golden):
    normalizer = make_normalizer(golden)
    normalizer.load_state_dict(last_stats(golden))
    normalizer.moments_from_stats()
    normalizer.record(golden["norm_resume_x"])
    normalizer.update()
    for kind in ("cont", "loaded"):
        mean, std = golden[f"norm_resume_mean_{kind}"], golden[f"norm_resume_std_{kind}"]
        check_mean(normalizer, mean, std)
        check_std(normalizer, std, mean)


def test_gaussian(golden):
    dist = DiagGaussian(golden["g_mean"], golden["g_logstd"])
    other = DiagGaussian(golden["g_kl_mean2"], golden["g_kl_logstd2"])
    assert_close(dist.log_prob(golden["g_x"]), golden["g_logp"], atol=1e-4, rtol=1e-5)
    assert_close(dist.entropy(), golden["g_entropy"], atol=1e-4, rtol=1e-5)
    assert_close(dist.kl(other), golden["g_kl"], atol=1e-4, rtol=1e-5)
    assert_close(dist.param_reg(), golden["g_param_reg"], atol=1e-4, rtol=1e-5)


def test_actions_are_normalized_by_their_bounds(golden):
    a_norm = Normalizer(golden["action_low"].numel())
    low, high = golden["action_low"], golden["action_high"]
    a_norm.set_mean_std(0.5 * (high + low), 0.5 * (high - low))
    assert_close(a_norm._mean, golden["a_norm_mean"], atol=1e-6, rtol=1e-6)
    assert_close(a_norm._std, golden["a_norm_std"], atol=1e-6, rtol=1e-6)


def ppo_batch(golden, agent):
    """The file does not say which policy collected the samples: its means and std only matter for the log's KL."""
    actions = agent._a_norm.normalize(golden["ppo_action"])
    return Batch(
        norm_obs=agent.normalize_obs(golden["ppo_obs"]),
        norm_actions=actions,
        norm_means=torch.zeros_like(actions),
        log_probs=golden["ppo_a_logp"],
        explored=golden["ppo_rand_action_mask"] == 1,
        advantages=golden["ppo_adv"],
        targets=golden["ppo_tar_val"],
        logstd=torch.zeros(actions.shape[-1]),
    )


def test_networks(golden, agent):
    norm_obs = agent.normalize_obs(golden["ppo_obs"])
    assert_close(norm_obs, golden["ppo_norm_obs"], atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        assert_close(agent.model.actor(norm_obs).mode, golden["ppo_actor_mean"], atol=1e-4, rtol=1e-4)
        assert_close(agent.model.critic(norm_obs), golden["ppo_value"], atol=1e-4, rtol=1e-4)


def check_losses(golden, prefix, info):
    names = [key[len(prefix) :] for key in golden if key.startswith(prefix)]
    assert {"loss", "actor_loss", "critic_loss", "clip_frac", "imp_ratio"} <= set(names)
    for name in names:
        assert_close(info[name], golden[prefix + name], atol=1e-4, rtol=1e-4)


def test_ppo_losses_and_gradients(golden, agent):
    agent.zero_grad()
    loss, info = ppo_loss(agent.model, ppo_batch(golden, agent), AgentConfig())
    check_losses(golden, "ppo_out_", info)
    loss.backward()
    named = {k: p for k, p in agent.model.named_parameters() if p.requires_grad}
    norm = torch.nn.utils.clip_grad_norm_(list(named.values()), float("inf"))
    assert_close(norm, golden["ppo_grad_norm"], atol=1e-3, rtol=1e-4)
    keys = [key for key in golden if key.startswith("ppo_grad/")]
    assert keys
    for key in keys:
        want = golden[key]
        scale = float(want.abs().max())
        assert_close(named[key[len("ppo_grad/") :]].grad, want, atol=1e-4 * max(1.0, scale), rtol=1e-3)


def test_ppo_losses_of_other_settings(golden, agent):
    """`ppo_L1_ent0.01_reg0.02_out_loss`: the settings stand in the name."""
    named = [re.match(r"ppo_(L[12])_ent([\d.]+)_reg([\d.]+)_out_loss$", key) for key in golden]
    variants = [match for match in named if match]
    assert variants
    for match in variants:
        kind, entropy, reg = match.groups()
        config = AgentConfig(
            critic_loss_type=kind, action_entropy_weight=float(entropy), action_reg_weight=float(reg)
        )
        _, info = ppo_loss(agent.model, ppo_batch(golden, agent), config)
        check_losses(golden, match.group(0)[: -len("loss")], info)


def test_training_data(golden, agent):
    obs, dones = golden["bt_obs"], golden["bt_done"].long()
    steps, num_envs = obs.shape[:2]
    values = agent.values(agent.normalize_obs(obs).flatten(0, 1)).view(steps, num_envs)
    next_values = agent.values(agent.normalize_obs(golden["bt_next_obs"]).flatten(0, 1)).view(steps, num_envs)
    assert_close(values, golden["bt_vals_raw"], atol=1e-4, rtol=1e-4)
    assert_close(next_values, golden["bt_next_vals_raw"], atol=1e-4, rtol=1e-4)

    bounds = value_bounds(-5.0, 6.0, DISCOUNT, "reference")
    assert_close(torch.tensor(bounds, dtype=torch.float64), golden["bt_val_bound"])
    assert golden["bt_fail_val"] == 0 and golden["bt_succ_val"] == 0
    targets = td_lambda_returns(
        golden["bt_reward"], bootstrap_values(next_values, dones, bounds), dones, DISCOUNT, 0.95
    )
    assert_close(targets, golden["bt_tar_val"], atol=1e-4, rtol=1e-4)


def test_training_data_of_a_rollout(golden):
    """The rollout keeps next values only where an episode ends; here every step's are given so."""
    dones, rewards = golden["bt_done"].long(), golden["bt_reward"]
    rollout = Rollout(*rewards.shape, 1, 1, torch.device("cpu"))
    rollout.rewards, rollout.dones = rewards, dones
    rollout.explored = golden["bt_rand_mask"] == 1
    rollout.next_values = lambda values: golden["bt_next_vals_raw"]
    config = AgentConfig(value_bounds="reference")
    bounds = value_bounds(-5.0, 6.0, DISCOUNT, "reference")
    info = training_targets(rollout, golden["bt_vals_raw"], bounds, config)
    assert_close(rollout.targets, golden["bt_tar_val"], atol=1e-5, rtol=1e-5)
    assert_close(rollout.advantages, golden["bt_adv"], atol=1e-4, rtol=1e-4)
    assert_close(info["adv_mean"], golden["bt_adv_mean"], atol=1e-5, rtol=1e-5)
    assert_close(info["adv_std"], golden["bt_adv_std"], atol=1e-5, rtol=1e-5)


def test_what_is_not_normalized(golden):
    """Contacts and heights, which lie behind char_obs and tar_obs."""
    config = EnvConfig()
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    sizes = Sizes(
        bodies=character.num_bodies,
        dofs=character.dof_size,
        keys=len(config.key_bodies),
        steps=len(config.tar_obs_steps),
        points=441,
    )
    mask = ObservationLayout(config, sizes).norm_mask
    assert len(mask) == golden["ppo_obs"].shape[-1]
    assert torch.equal((~mask).nonzero().flatten(), golden["obs_non_norm_indices"])
