"""The columns of log.txt beside samples, iteration and time: a fixed few, never one per motion."""

from __future__ import annotations

import math
from typing import Any, Dict, Sequence

import torch

from parc_core.envs.terminations import FailReason

EPISODE_COLUMNS = ("Train_Return", "Train_Episode_Length", "Episodes", "Completed")
TEST_COLUMNS = ("Test_Return", "Test_Episode_Length", "Test_Episodes")
LOSS_COLUMNS = (
    "loss",
    "actor_loss",
    "critic_loss",
    "clip_frac",
    "imp_ratio",
    "action_bound_loss",
    "action_entropy",
    "action_reg_loss",
    "adv_mean",
    "adv_std",
    "grad_norm",
    "learning_rate",
)


def output_row(
    env: Any, info: Dict[str, float], test: Dict[str, float], quantiles: Sequence[float]
) -> Dict[str, float]:
    """One line's values; what did not happen (no episode ended, no test) is NaN.

    Args:
        info: means of the last update.
        test: result of the test episodes, empty without.
        quantiles: shown quantiles of the motions' failure rates.
    """
    episodes = env.episode_stats()
    row = {name: float(episodes.get(name, math.nan)) for name in EPISODE_COLUMNS}
    if test:
        row.update({name: test[name] for name in TEST_COLUMNS})
    row.update({_title(name): info[name] for name in LOSS_COLUMNS if name in info})
    for name in FailReason.NAMES:
        column = "Fail_" + _title(name.replace(" ", "_"))
        if column in episodes or name not in ("none", "motion end"):
            row[column] = float(episodes.get(column, math.nan))
    rates = env.fail_rates.detach().float().cpu()
    row["Fail_Rate_Mean"] = float(rates.mean())
    for share in quantiles:
        row[f"Fail_Rate_Q{round(100 * share):02d}"] = float(torch.quantile(rates, share))
    return row


def _title(name: str) -> str:
    return "_".join(part.capitalize() for part in name.split("_"))
