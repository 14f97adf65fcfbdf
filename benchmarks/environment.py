"""Where a control step of the whole environment goes: physics, observation, reward and endings, resets."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from rich.table import Table

from benchmarks.scene import follow, tracking_scene
from benchmarks.timing import Stopwatch

_WARM_UP = 10  # steps
_PARTS = ("physics", "observe", "rest", "resets")  # rest: targets, reference, reward, endings, statistics


def measure(
    env_counts: Sequence[int], thread_counts: Sequence[int], steps: int, repeats: int
) -> List[Dict[str, Any]]:
    """One row per number of environments and threads, of the fastest repeat: ms per part, and steps/s."""
    rows = []
    for num_envs in env_counts:
        for threads in thread_counts:
            env, watch = tracking_scene(num_envs, threads), Stopwatch()
            watch.watch(env.engine, "step", "physics")
            watch.watch(env, "observe", "observe")
            watch.watch(env, "step", "step")
            watch.watch(env, "reset_done", "resets")
            follow(env, _WARM_UP)
            watch.take()
            repeated = []
            for _ in range(repeats):
                follow(env, steps)
                repeated.append(watch.take())
            rows.append(_row(num_envs, threads, steps, min(repeated, key=_total)))
    return rows


def _total(seconds: Dict[str, float]) -> float:
    return seconds["step"] + seconds["resets"]


def _row(num_envs: int, threads: int, steps: int, seconds: Dict[str, float]) -> Dict[str, Any]:
    rest = seconds["step"] - seconds["physics"] - seconds["observe"]
    parts = {**seconds, "rest": rest}
    return {
        "num_envs": num_envs,
        "threads": threads,
        "ms": {name: round(1000 * parts[name] / steps, 2) for name in _PARTS},
        "steps_per_second": round(num_envs * steps / _total(seconds)),
    }


def table(rows: List[Dict[str, Any]]) -> Table:
    """For the screen."""
    shown = Table(title="Environment: ms per control step of all")
    for column in ("envs", "threads", *_PARTS, "steps/s"):
        shown.add_column(column, justify="right")
    for row in rows:
        milliseconds = (f"{row['ms'][name]:.1f}" for name in _PARTS)
        shown.add_row(
            f"{row['num_envs']:,}", str(row["threads"]), *milliseconds, f"{row['steps_per_second']:,}"
        )
    return shown
