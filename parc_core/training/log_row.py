"""The columns of log.txt beside samples, iteration and time: a fixed few, never one per motion."""

from __future__ import annotations

import math
from typing import Dict

from parc_core.envs.terminations import FAILURES
from parc_core.envs.vec_env import VecEnv
from parc_core.system.world import ONE_PROCESS, World
from parc_core.training.columns import (
    EPISODE_COLUMNS,
    EVALUATION_COLUMNS,
    HELD_OUT_COLUMNS,
    LOSS_COLUMNS,
    TEST_COLUMNS,
    title,
)

FAIL_COLUMNS = tuple(reason.column for reason in FAILURES)


def output_row(
    env: VecEnv, info: Dict[str, float], test: Dict[str, float], world: World = ONE_PROCESS
) -> Dict[str, float]:
    """One line's values; what did not happen (no episode ended) is NaN.

    Args:
        info: means of the last update.
        test: results of the test episodes and of the last evaluation of all clips, empty without.
        world: whose processes' episodes count.
    """
    episodes = env.episode_stats(world)
    row = {name: float(episodes.get(name, math.nan)) for name in EPISODE_COLUMNS}
    tested = TEST_COLUMNS + EVALUATION_COLUMNS + HELD_OUT_COLUMNS
    row.update({name: test[name] for name in tested if name in test})
    row.update({title(name): info[name] for name in LOSS_COLUMNS if name in info})
    row.update({name: float(episodes.get(name, math.nan)) for name in FAIL_COLUMNS})
    row["Fail_Rate_Mean"] = float(env.fail_rates.float().mean())
    row.update({name: float(value) for name, value in episodes.items() if name not in row})
    return row
