"""What the report shows of clips: the sentence on each end, what a row opens to, which ones have a card."""

from __future__ import annotations

import json
import math
from typing import Any, Dict, List, Optional, Sequence

from markupsafe import Markup

from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.evaluation.depth import LIMITS, MEASURES
from parc_core.evaluation.result import ClipResult, EvalResult, worst_first
from parc_core.evaluation.success import RULES

MAX_CARDS = 12
"""The worst clips that have a card, and as many more for classes that have none among them."""
ERROR_TITLES = {
    "root_pos_m": "root position",
    "root_rot_rad": "root rotation",
    "body_pos_m": "body positions, relative to the root",
    "body_rot_rad": "body rotations",
    "dof_vel_rad_s": "joint velocities",
    "root_vel_m_s": "root velocity",
    "root_ang_vel_rad_s": "root angular velocity",
}
MEASURE_TITLES = {
    "contact_precision": ("contact precision", ""),
    "contact_recall": ("contact recall", ""),
    "penetration_mean_m": ("penetration, mean", "m"),
    "penetration_max_m": ("penetration, deepest", "m"),
    "foot_skating_m_s": ("foot skating", "m/s"),
    "jerk_m_s3": ("jerk", "m/s³"),
    "power_w": ("energy: mechanical power", "W"),
}
RULE_TITLES = {
    "last_frame": "last frame reached",
    "joint_error": "joint error never above 0.5 m",
    "no_fall": "no fall",
}
_UNITS = {"m": "m", "rad": "rad", "rad_s": "rad/s", "m_s": "m/s"}
_LIMIT_UNITS = {"root position": "m", "body position": "m", "root rotation": "rad", "fall": "N"}


def unit_of(error: str) -> str:
    """Of a tracking error, by the end of its key."""
    return next((unit for key, unit in _UNITS.items() if error.endswith(key)), "")


def why(clip: ClipResult) -> str:
    """One sentence on how a clip ended."""
    if clip.completed:
        return f"completed: {clip.length_s:.2f} s"
    text = f"lost at {clip.end_time_s:.2f} of {clip.length_s:.2f} s: {clip.end_reason}"
    if clip.lost_value is None or clip.lost_limit is None:
        return text
    unit = _LIMIT_UNITS.get(clip.end_reason, "")
    if clip.end_reason == "fall":
        return f"{text}; {clip.lost_body} touched with {clip.lost_value:.0f} {unit}"
    return f"{text}; {clip.lost_body} off by {clip.lost_value:.2f} {unit}, limit {clip.lost_limit:.2f} {unit}"


def card_places(clips: Sequence[ClipResult], most: int = MAX_CARDS) -> List[int]:
    """Lost clips to look at: the worst ones, then the worst of each class that is not among them."""
    lost = [k for k in worst_first(clips) if not clips[k].completed]
    chosen = lost[:most]
    seen = {clips[k].motion_class for k in chosen}
    for k in lost[most:]:
        if clips[k].motion_class not in seen and len(chosen) < 2 * most:
            seen.add(clips[k].motion_class)
            chosen.append(k)
    return chosen


def details(result: EvalResult, places: Sequence[int]) -> Markup:
    """JSON for the page's script of the clips at these places; their order is the rows'."""
    clips = [result.clips[k] for k in places]
    names = list(clips[0].tracking_errors)
    data = {
        "limits": list(LIMITS),
        "terms": [name[:-2].replace("_", " ") for name in TERM_COLUMNS],
        "errors": [[ERROR_TITLES.get(name, name), unit_of(name)] for name in names],
        "measures": [MEASURE_TITLES[name] for name in MEASURES],
        "rules": [RULE_TITLES[rule] for rule in RULES],
        "clips": [_detail(clip, result.traces.get(clip.name), names) for clip in clips],
    }
    return script_json(data)


def script_json(data: Any) -> Markup:
    """JSON inside a <script>: no text of it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _detail(clip: ClipResult, trace: Optional[Dict[str, List[float]]], names: List[str]) -> Dict[str, Any]:
    found: Dict[str, Any] = {
        "why": why(clip),
        "length": clip.length_s,
        "end": round(clip.end_time_s, 3),
        "lost": int(not clip.completed),
        "errors": [_rounded(clip.tracking_errors.get(name)) for name in names],
    }
    if clip.measures:
        found["measures"] = [_rounded(clip.measures.get(name)) for name in MEASURES]
    if clip.success:
        found["success"] = [int(clip.success[rule]) for rule in RULES]
    if clip.random_starts:
        found["starts"] = [
            [round(s["start_s"], 2), int(s["completed"]), round(s["completed_fraction"], 3)]
            for s in clip.random_starts
        ]
    if trace:
        scales = [1000.0] + [100.0] * (len(trace) - 1)
        found["t"] = [
            [None if math.isnan(value) else round(min(value, 1e4) * scale) for value in values]
            for values, scale in zip(trace.values(), scales)
        ]
    return found


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")
