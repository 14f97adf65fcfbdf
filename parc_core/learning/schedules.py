"""What changes with the number of samples: exploration, the actions' standard deviation and the learning rate."""

from __future__ import annotations

from typing import Optional

from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.config.ramp import ramp

ANNEALED_SHARE = 0.9
"""Of a training's samples: where the standard deviation ends that names no number of samples itself."""


def explore_probability(config: AgentConfig, samples: int) -> float:
    """Probability that an environment samples its action: linear from exp_prob_beg to exp_prob_end."""
    if config.exp_anneal_samples is None:
        return float(config.exp_prob_beg)
    return ramp(config.exp_prob_beg, config.exp_prob_end, samples, config.exp_anneal_samples)


def action_std(model_config: ModelConfig, samples: int, max_samples: int) -> Optional[float]:
    """Standard deviation of normalized actions: linear from action_std to action_std_end; None = as it is."""
    if model_config.action_std_end is None:
        return None
    anneal_samples = model_config.action_std_anneal_samples
    if anneal_samples is None:
        anneal_samples = ANNEALED_SHARE * max(1, max_samples)
    return ramp(model_config.action_std, model_config.action_std_end, samples, anneal_samples)


def learning_rate(optimizer_config: OptimizerConfig, samples: int, max_samples: int) -> Optional[float]:
    """constant, or linear from learning_rate down to 0 at max_samples; None = adaptive, the update changes it."""
    if optimizer_config.schedule == "adaptive":
        return None
    if optimizer_config.schedule == "constant":
        return float(optimizer_config.learning_rate)
    return float(optimizer_config.learning_rate * max(0.0, 1.0 - samples / max(1, max_samples)))
