"""What changes with the number of samples: exploration and learning rate."""

from __future__ import annotations

import torch


def explore_probability(config, samples: int) -> float:
    """Probability that an environment samples its action: linear from exp_prob_beg to exp_prob_end."""
    if config.exp_anneal_samples is None:
        return float(config.exp_prob_beg)
    share = min(1.0, max(0.0, samples / config.exp_anneal_samples))
    return float((1.0 - share) * config.exp_prob_beg + share * config.exp_prob_end)


def learning_rate(optimizer_config, samples: int, max_samples: int) -> float:
    """constant, or linear from learning_rate down to 0 at max_samples."""
    if optimizer_config.schedule == "constant":
        return float(optimizer_config.learning_rate)
    return float(optimizer_config.learning_rate * max(0.0, 1.0 - samples / max(1, max_samples)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
