"""TD(λ) returns, bootstrap values and normalized advantages."""

from __future__ import annotations

from typing import Dict, Tuple

import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig
from parc_core.envs.terminations import DoneFlag
from parc_core.learning.rollout import Rollout
from parc_core.system.world import ONE_PROCESS, World

REFERENCE_VALUE_BOUNDS = (0.0, 1.0)  # reward range that the reference assumes, whatever the terms say


def td_lambda_returns(
    rewards: Tensor, next_values: Tensor, dones: Tensor, discount: float, td_lambda: float
) -> Tensor:
    """G_t = r_t + γ((1 − λ_t) V_{t+1} + λ_t G_{t+1}), λ_t = 0 where an episode or the rollout ends.

    Args:
        rewards, next_values: (T, N); `next_values` already holds the bootstrap of ended episodes.
        dones: (T, N) done flags, 0 = goes on.

    Returns:
        (T, N). Source: Sutton and Barto, 2nd edition, eq. 12.18; golden file 06 (td_*).
    """
    carry = (discount * td_lambda) * (dones == DoneFlag.NULL).to(rewards.dtype)
    # What does not depend on later returns, for all steps at once: the loop is then one operation a step.
    returns = rewards + (discount - carry) * next_values
    following = next_values[-1]
    for t in range(rewards.shape[0] - 1, -1, -1):
        following = returns[t].addcmul_(carry[t], following)
    return returns


def value_bounds(reward_low: float, reward_high: float, discount: float, mode: str) -> Tuple[float, float]:
    """Lowest and highest possible value: [low, high]/(1 − γ) widened to hold the 0 of failed episodes.

    `mode` "reference" takes rewards in [0, 1] for granted, as the reference does.
    """
    if mode == "reference":
        reward_low, reward_high = REFERENCE_VALUE_BOUNDS
    horizon = 1.0 / (1.0 - discount)
    return min(0.0, reward_low * horizon), max(0.0, reward_high * horizon)


def bootstrap_values(next_values: Tensor, dones: Tensor, bounds: Tuple[float, float]) -> Tensor:
    """(T, N) values of the next observations, within bounds; FAIL and SUCC count 0, TIME its value."""
    terminal = (dones == DoneFlag.FAIL) | (dones == DoneFlag.SUCC)
    return next_values.clamp(bounds[0], bounds[1]).masked_fill(terminal, 0.0)


def normalized_advantages(
    advantages: Tensor, explored: Tensor, clip: float, world: World = ONE_PROCESS
) -> Tuple[Tensor, Tensor, Tensor]:
    """(advantages − mean)/std, clamped to ±clip; mean and std over the samples that explored.

    Args:
        advantages: (T, N).
        explored: (T, N) bool, the action was sampled and not the mode.
        world: mean and std are those of the samples of all its processes.

    Returns:
        ((T, N) normalized, mean, std).
    """
    chosen = advantages.masked_fill(~explored, 0.0)
    # In float64 counts are exact, and rounding the quotient of two float32 numbers once more changes nothing.
    count, total = world.sum_(torch.stack((explored.sum().double(), chosen.sum().double())))
    mean = (total / count.clamp_min(1)).to(advantages.dtype)
    square = world.sum_((advantages - mean).masked_fill(~explored, 0.0).square().sum().double())
    std = (square / (count - 1).clamp_min(1)).to(advantages.dtype).sqrt()
    enough = count >= 2  # otherwise there is nothing to normalize by, nor to learn from
    mean, std = mean.where(enough, torch.zeros_like(mean)), std.where(enough, torch.ones_like(std))
    normalized = ((advantages - mean) / std.clamp_min(1e-5)).clamp(-clip, clip)
    return normalized.masked_fill(~enough, 0.0), mean, std


@torch.no_grad()
def training_targets(
    rollout: Rollout,
    values: Tensor,
    bounds: Tuple[float, float],
    config: AgentConfig,
    world: World = ONE_PROCESS,
) -> Dict[str, Tensor]:
    """Fills in the rollout's return targets and normalized advantages.

    Args:
        values: (T, N) critic values of the observations, as the critic gives them.
        bounds: lowest and highest possible value, for the bootstrap.
        world: whose processes' advantages are normalized together.

    Returns:
        Log entries adv_mean and adv_std, each of shape (). Golden file 06, bt_*.
    """
    next_values = bootstrap_values(rollout.next_values(values), rollout.dones, bounds)
    targets = td_lambda_returns(
        rollout.rewards, next_values, rollout.dones, config.discount, config.td_lambda
    )
    adv, mean, std = normalized_advantages(targets - values, rollout.explored, config.norm_adv_clip, world)
    rollout.targets.copy_(targets)
    rollout.advantages.copy_(adv)
    return {"adv_mean": mean, "adv_std": std}
