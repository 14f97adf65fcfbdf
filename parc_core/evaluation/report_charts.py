"""Pictures of the report: learning curves, and how clips are distributed where they are many."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Tuple

from markupsafe import Markup

from parc_core.evaluation.curves import LearningCurves
from parc_core.evaluation.result import ClipResult
from parc_core.evaluation.svg import histogram, line_chart, nice_ticks


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _percent_of_axis(share: float) -> str:
    """With up to four digits, and never up to 100."""
    text = f"{100.0 * share:.4g}"
    return f"{'99.99' if text == '100' and share < 1.0 else text} %"


def _short(value: float) -> str:
    """2500000 -> 2.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


CHARTS: Tuple[Tuple[str, str, Callable[[float], str], Dict[str, str]], ...] = (
    ("Train_Return", "Return per episode", _plain, {}),
    ("Train_Episode_Length", "Steps per episode", _plain, {}),
    ("Completed", "Episodes completed", _percent_of_axis, {}),
    (
        "Fail_Rate_Q50",
        "Failure rate of clips: median",
        _plain,
        {f"Fail_Rate_Q{q}": f"{q} %" for q in (25, 75, 90, 99)},
    ),
    ("Kl", "KL divergence of an update", _plain, {}),
    ("Actor_Loss", "Actor loss", _plain, {}),
    ("Critic_Loss", "Critic loss", _plain, {}),
    ("Samples_Per_Second", "Speed, samples/s", _short, {}),
)
"""Column of the log, heading, how its values are written, further columns with their names."""


def learning_charts(curves: LearningCurves) -> Dict[str, List[Any]]:
    """The curves over samples and over time; none before there are two points."""
    if len(curves) < 2:
        return {}
    minutes = max((h for h in curves.hours if math.isfinite(h)), default=0.0) < 2.0
    times = [60.0 * h for h in curves.hours] if minutes else curves.hours
    axes = {
        "samples": (curves.samples, "samples", _short),
        "time": (times, "minutes" if minutes else "hours", _plain),
    }
    return {
        name: [
            line_chart(
                x,
                curves.values[column],
                heading,
                label,
                text,
                value_text,
                others={said: curves.values[more] for more, said in others.items() if more in curves.values},
            )
            for column, heading, value_text, others in CHARTS
            if column in curves.values
        ]
        for name, (x, label, text) in axes.items()
    }


def clip_histograms(clips: List[ClipResult]) -> List[Markup]:
    """How the clips are distributed: tracked share, joint error, length at the end."""
    groups = {
        "completed": [clip for clip in clips if clip.completed],
        "lost": [clip for clip in clips if not clip.completed],
    }

    def values(read: Callable[[ClipResult], float]) -> Dict[str, List[float]]:
        return {name: [read(clip) for clip in group] for name, group in groups.items()}

    errors = sorted(clip.joint_error_m for clip in clips)
    most = nice_ticks(0.0, max(errors[int(0.98 * (len(errors) - 1))], 0.01), 4)[-1]
    longest = nice_ticks(0.0, max(clip.length_s for clip in clips), 4)[-1]
    return [
        histogram(
            values(lambda c: c.shown_share), "Tracked share of the clips", "tracked", _percent_of_axis, 1.0
        ),
        histogram(values(lambda c: c.joint_error_m), "Joint error while tracked", "m", _plain, most),
        histogram(values(lambda c: c.end_time_s), "Time at which clips ended", "s", _plain, longest),
    ]
