"""Control steps per second of the physics alone: `engine.step` with terrain windows and the state read back."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from rich.table import Table

from benchmarks.scene import follow, tracking_scene
from benchmarks.timing import Stopwatch

_WARM_UP = 10  # steps: characters land, memory is touched


def measure(
    env_counts: Sequence[int], thread_counts: Sequence[int], steps: int, repeats: int
) -> List[Dict[str, Any]]:
    """One row per number of environments and threads; rates are control steps of all environments per second."""
    rows = []
    for num_envs in env_counts:
        for threads in thread_counts:
            env, watch = tracking_scene(num_envs, threads), Stopwatch()
            watch.watch(env.engine, "step", "physics")
            follow(env, _WARM_UP)
            watch.take()
            rates = []
            for _ in range(repeats):
                follow(env, steps)
                rates.append(num_envs * steps / watch.take()["physics"])
            rates.sort()
            rows.append(
                {
                    "num_envs": num_envs,
                    "threads": threads,
                    "best": round(rates[-1]),
                    "median": round(rates[len(rates) // 2]),
                }
            )
    return rows


def table(rows: List[Dict[str, Any]]) -> Table:
    """For the screen."""
    shown = Table(title="Physics alone: control steps/s")
    for column in ("envs", "threads", "best", "median"):
        shown.add_column(column, justify="right")
    for row in rows:
        shown.add_row(*(f"{row[key]:,}" for key in ("num_envs", "threads", "best", "median")))
    return shown
