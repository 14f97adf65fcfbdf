"""Proximal policy optimisation: training targets, losses and the minibatch update (Schulman et al. 2017)."""

from __future__ import annotations

import math
from typing import Callable, Dict, Tuple

import torch
from torch import Tensor

from parc_core.errors import ConfigError
from parc_core.learning.agent import Agent
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.networks import ActorCritic
from parc_core.learning.returns import bootstrap_values, normalized_advantages, td_lambda_returns
from parc_core.learning.rollout import Rollout

Batch = Dict[str, Tensor]


def make_optimizer(model: ActorCritic, config) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW over the trainable parameters."""
    params = [p for p in model.parameters() if p.requires_grad]
    kind = config.type.lower()
    if kind == "sgd":
        return torch.optim.SGD(
            params, lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
        )
    if kind == "adam":
        return torch.optim.Adam(params, lr=config.learning_rate, weight_decay=config.weight_decay)
    if kind == "adamw":
        return torch.optim.AdamW(params, lr=config.learning_rate, weight_decay=config.weight_decay)
    raise ConfigError(f"optimizer.type: {config.type!r} is none of SGD, Adam, AdamW")


def masked_mean(x: Tensor, weights: Tensor) -> Tensor:
    """Mean of x (B,) where weights (B,) are 1; 0 where none is."""
    return (x * weights).sum() / weights.sum().clamp_min(1.0)


def actor_loss(dist: DiagGaussian, batch: Batch, config) -> Tuple[Tensor, Batch]:
    """Clipped surrogate, bound violation of the mean, entropy and regularisation.

    All means go over the samples that explored: a sample that took the mode says nothing about others.
    Weights of 0 leave their term and its log entry out.

    Returns:
        (loss (), log entries of shape ()). Golden file 06, ppo_*.
    """
    weights = batch["explored"].to(batch["adv"].dtype)
    ratio = (dist.log_prob(batch["norm_action"]) - batch["a_logp"]).exp()
    clip = config.ppo_clip_ratio
    surrogate = torch.minimum(batch["adv"] * ratio, batch["adv"] * ratio.clamp(1.0 - clip, 1.0 + clip))
    loss = -masked_mean(surrogate, weights)
    info = {
        "clip_frac": masked_mean(((ratio - 1.0).abs() > clip).to(weights.dtype), weights).detach(),
        "imp_ratio": masked_mean(ratio, weights).detach(),
    }
    terms = (
        ("action_bound_loss", config.action_bound_weight, dist.bound_violation),
        ("action_entropy", -config.action_entropy_weight, dist.entropy),
        ("action_reg_loss", config.action_reg_weight, dist.param_reg),
    )
    for name, weight, term in terms:
        if weight != 0:
            value = masked_mean(term(), weights)
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
        batch: norm_obs (B, O), norm_action (B, D), a_logp, adv, tar_val (B,), explored (B,) bool.
    """
    loss_a, info = actor_loss(model.actor(batch["norm_obs"]), batch, config)
    loss_c = critic_loss(model.critic(batch["norm_obs"]), batch["tar_val"], config.critic_loss_type)
    loss = loss_a + config.critic_loss_weight * loss_c
    info["critic_loss"] = loss_c.detach()
    info["loss"] = loss.detach()
    return loss, info


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


def update(
    agent: Agent,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    bounds: Tuple[float, float],
    config,
    generator: torch.Generator,
    beat: Callable[[], None],
) -> Dict[str, float]:
    """update_epochs passes over the rollout in shuffled minibatches of batch_size · num_envs samples.

    Returns:
        Means over the minibatches (loss, actor_loss, …, grad_norm); not finite if the update diverged.
    """
    data = rollout.flat()
    values = agent.values(data["norm_obs"]).view_as(rollout.rewards)
    targets, info = training_targets(rollout, values, bounds, config)
    data.update({key: value.flatten() for key, value in targets.items()})
    params = [p for group in optimizer.param_groups for p in group["params"]]
    size = min(rollout.num_samples, math.ceil(config.batch_size * rollout.rewards.shape[1]))
    sums: Batch = {}
    count = 0
    for _ in range(config.update_epochs):
        order = torch.randperm(rollout.num_samples, generator=generator, device=rollout.rewards.device)
        for ids in order.split(size):
            batch = {key: value.index_select(0, ids) for key, value in data.items()}
            step_info = _step(agent.model, optimizer, params, batch, config)
            for key, value in step_info.items():
                sums[key] = sums[key] + value if key in sums else value
            count += 1
            beat()
    info.update({key: value / count for key, value in sums.items()})
    names = list(info)
    numbers = torch.stack([info[name].float() for name in names]).tolist()  # one transfer
    return dict(zip(names, numbers))


def _step(model: ActorCritic, optimizer: torch.optim.Optimizer, params, batch: Batch, config) -> Batch:
    """One gradient step; the gradient norm is that before clipping."""
    loss, info = ppo_loss(model, batch, config)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    limit = config.max_grad_norm if config.clip_grad_norm else float("inf")
    info["grad_norm"] = torch.nn.utils.clip_grad_norm_(params, limit).detach()
    optimizer.step()
    return info
