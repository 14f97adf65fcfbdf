"""Proximal policy optimisation: training targets and losses (Schulman et al. 2017); `update.py` applies them."""

from __future__ import annotations

from typing import Dict, Tuple

import torch
from torch import Tensor

from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.networks import ActorCritic
from parc_core.learning.returns import bootstrap_values, normalized_advantages, td_lambda_returns
from parc_core.learning.rollout import Rollout

Batch = Dict[str, Tensor]


def shares(chosen: Tensor, dtype: torch.dtype) -> Tensor:
    """(B,) bool → (B,) weights: x · weights is the mean of x (B,) over the chosen samples, 0 where none is."""
    weights = chosen.to(dtype)
    return weights / weights.sum().clamp_min(1.0)


def actor_loss(dist: DiagGaussian, batch: Batch, config) -> Tuple[Tensor, Batch]:
    """Clipped surrogate, bound violation of the mean, entropy and regularisation.

    All means go over the samples that explored: a sample that took the mode says nothing about others.
    Weights of 0 leave their term and its log entry out.

    Returns:
        (loss (), log entries of shape ()). Golden file 06, ppo_*.
    """
    share = shares(batch["explored"], batch["adv"].dtype)
    ratio = (dist.log_prob(batch["norm_action"]) - batch["a_logp"]).exp()
    clip = config.ppo_clip_ratio
    surrogate = torch.minimum(batch["adv"] * ratio, batch["adv"] * ratio.clamp(1.0 - clip, 1.0 + clip))
    loss = -torch.dot(surrogate, share)
    with torch.no_grad():
        info = {
            "clip_frac": torch.dot(((ratio - 1.0).abs() > clip).to(share.dtype), share),
            "imp_ratio": torch.dot(ratio, share),
        }
    terms = (
        ("action_bound_loss", config.action_bound_weight, dist.bound_violation),
        ("action_entropy", -config.action_entropy_weight, dist.entropy),
        ("action_reg_loss", config.action_reg_weight, dist.param_reg),
    )
    for name, weight, term in terms:
        if weight != 0:
            value = (term() * share).sum()
            loss = loss + weight * value
            info[name] = value.detach()
    info["actor_loss"] = loss.detach()
    return loss, info


def critic_loss(values: Tensor, targets: Tensor, kind: str) -> Tensor:
    """Mean of squares (L2) or of absolute values (L1) of targets − values, (B,) → ()."""
    diff = targets - values
    return diff.square().mean() if kind == "L2" else diff.abs().mean()


def ppo_loss(model: ActorCritic, batch: Batch, config) -> Tuple[Tensor, Batch]:
    """Actor loss + critic_loss_weight · critic loss over one minibatch.

    Args:
        batch: norm_obs (B, O), norm_action (B, D), a_logp, adv, tar_val (B,), explored (B,) bool; and, for the
            log entry kl, old_mean (B, D) and old_logstd (B, D) or (D,).

    Returns:
        (loss (), log entries of shape ()).
    """
    dist = model.actor(batch["norm_obs"])
    loss_a, info = actor_loss(dist, batch, config)
    if "old_mean" in batch:
        info["kl"] = policy_change(dist, batch)
    loss_c = critic_loss(model.critic(batch["norm_obs"]), batch["tar_val"], config.critic_loss_type)
    loss = loss_a + config.critic_loss_weight * loss_c
    info["critic_loss"] = loss_c.detach()
    info["loss"] = loss.detach()
    return loss, info


@torch.no_grad()
def policy_change(dist: DiagGaussian, batch: Batch) -> Tensor:
    """Mean of KL(policy of the rollout ‖ policy now) over a minibatch. ()."""
    old = DiagGaussian(batch["old_mean"], batch["old_logstd"])
    return old.kl(DiagGaussian(dist.mean, dist.logstd)).mean()


def training_targets(
    rollout: Rollout, values: Tensor, bounds: Tuple[float, float], config
) -> Tuple[Batch, Batch]:
    """Return targets and normalised advantages of a rollout.

    Args:
        values: (T, N) critic values of the observations, as the critic gives them.
        bounds: lowest and highest possible value, for the bootstrap.

    Returns:
        ({tar_val, adv} of shape (T, N), log entries). Golden file 06, bt_*.
    """
    next_values = bootstrap_values(rollout.next_values(values), rollout.dones, bounds)
    targets = td_lambda_returns(
        rollout.rewards, next_values, rollout.dones, config.discount, config.td_lambda
    )
    adv, mean, std = normalized_advantages(targets - values, rollout.explored, config.norm_adv_clip)
    return {"tar_val": targets, "adv": adv}, {"adv_mean": mean, "adv_std": std}
