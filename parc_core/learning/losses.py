"""The losses of proximal policy optimization (Schulman et al. 2017) over one minibatch."""

from __future__ import annotations

from typing import Callable, Dict, Optional, Tuple

import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.networks import ActorCritic
from parc_core.learning.rollout import Batch

Info = Dict[str, Tensor]
"""Log entries by name, each of shape ()."""


def as_numbers(info: Info) -> Dict[str, float]:
    """Log entries as numbers: one transfer from the device."""
    return dict(zip(info, torch.stack([value.float() for value in info.values()]).tolist()))


_Penalty = Tuple[str, float, Callable[[DiagGaussian], Tensor]]


def _penalties(config: AgentConfig) -> Tuple[_Penalty, ...]:
    """(name, weight, value of each sample) of the actor's further terms; those of weight 0 are left out."""
    terms: Tuple[_Penalty, ...] = (
        ("action_bound_loss", config.action_bound_weight, DiagGaussian.bound_violation),
        ("action_entropy", -config.action_entropy_weight, DiagGaussian.entropy),
        ("action_reg_loss", config.action_reg_weight, DiagGaussian.param_reg),
    )
    return tuple(term for term in terms if term[1] != 0)


def loss_names(config: AgentConfig) -> Tuple[str, ...]:
    """Log entries of a gradient step, in their order."""
    further = (name for name, _, _ in _penalties(config))
    return ("clip_frac", "imp_ratio", *further, "actor_loss", "kl", "critic_loss", "loss", "grad_norm")


def ppo_loss(model: ActorCritic, batch: Batch, config: AgentConfig) -> Tuple[Tensor, Info]:
    """(actor's loss + critic's (), log entries) over one minibatch. Golden file 06, ppo_*."""
    of_actor, of_critic, info = ppo_losses(model, batch, config)
    return of_actor + of_critic, info


def ppo_losses(
    model: ActorCritic, batch: Batch, config: AgentConfig, explorers: Optional[Tensor] = None
) -> Tuple[Tensor, Tensor, Info]:
    """Clipped surrogate with penalties, and critic_loss_weight · critic loss, over one minibatch.

    The actor's means go over the samples that explored: a sample that took the mode says nothing about others.

    Args:
        explorers: (), how many samples explored, in the mean over several processes; the mean of what they return, and
            of their gradients, is then that of all their samples. None = count them.

    Returns:
        (loss of the actor's parameters (), loss of the critic's (), log entries).
    """
    dist = model.actor(batch.norm_obs)
    share = shares(batch.explored, batch.advantages.dtype, explorers)
    ratio = (dist.log_prob(batch.norm_actions) - batch.log_probs).exp()
    clip = config.ppo_clip_ratio
    surrogate = torch.minimum(
        batch.advantages * ratio, batch.advantages * ratio.clamp(1.0 - clip, 1.0 + clip)
    )
    actor_loss = -torch.dot(surrogate, share)
    with torch.no_grad():
        info = {
            "clip_frac": torch.dot(((ratio - 1.0).abs() > clip).to(share.dtype), share),
            "imp_ratio": torch.dot(ratio, share),
            "kl": policy_change(dist, batch),
        }
    for name, weight, of_samples in _penalties(config):
        value = (of_samples(dist) * share).sum()
        actor_loss = actor_loss + weight * value
        info[name] = value.detach()
    of_critic = critic_loss(model.critic(batch.norm_obs), batch.targets, config.critic_loss_type)
    weighted = config.critic_loss_weight * of_critic
    loss = (actor_loss + weighted).detach()
    info.update(actor_loss=actor_loss.detach(), critic_loss=of_critic.detach(), loss=loss)
    return actor_loss, weighted, info


def shares(chosen: Tensor, dtype: torch.dtype, count: Optional[Tensor] = None) -> Tensor:
    """(B,) bool → (B,) weights: x · weights is the mean of x (B,) over the chosen samples, 0 where none is.

    Args:
        count: () by which the sum is divided; None = the number of the chosen.
    """
    weights = chosen.to(dtype)
    return weights / (weights.sum().clamp_min(1.0) if count is None else count)


def critic_loss(values: Tensor, targets: Tensor, kind: str) -> Tensor:
    """Mean of squares (L2) or of absolute values (L1) of targets − values, (B,) → ()."""
    diff = targets - values
    return diff.square().mean() if kind == "L2" else diff.abs().mean()


def policy_change(dist: DiagGaussian, batch: Batch) -> Tensor:
    """Mean of KL(policy of the rollout ‖ policy now) over a minibatch. ()."""
    old = DiagGaussian(batch.norm_means, batch.logstd)
    return old.kl(DiagGaussian(dist.mean, dist.logstd)).mean()
