"""Numbers of the tracking benchmark: shares and means with 95 % intervals, as a table and as a picture.

The seeds of a config play the same clips, so that their tries are no independent ones: an interval is that of as many
trials as there are clips, of the mean over seeds.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any, Dict, List, Sequence

from parc_core.evaluation.result import ClipResult
from parc_core.evaluation.statistics import mean_of_sizes, wilson
from parc_core.evaluation.success import RULES

PARTS = ("train", "held_out")
GROUNDS = ("all", "flat", "terrain")
TITLES = {
    "last_frame": "last frame reached",
    "joint_error": "never above 0.5 m",
    "no_fall": "no fall",
    "train": "train",
    "held_out": "held out",
}
_COLOURS = ("#2f9e6e", "#4085cc", "#e2631f", "#8a63c9", "#c9609c", "#7d8f2b")


def numbers_of(seeds: Sequence[Sequence[ClipResult]], flat: Dict[str, bool]) -> Dict[str, Any]:
    """Shares and means of one config on one part, for each ground.

    Args:
        seeds: the clips' results of each seed, the same clips in the same order.
        flat: by name, whether a clip's terrain is flat.
    """
    found = {}
    for ground in GROUNDS:
        chosen = [
            place
            for place, clip in enumerate(seeds[0])
            if ground == "all" or flat[clip.name] == (ground == "flat")
        ]
        if chosen:
            found[ground] = _described([[clips[place] for place in chosen] for clips in seeds])
    return found


def _described(seeds: List[List[ClipResult]]) -> Dict[str, Any]:
    clips = len(seeds[0])
    found: Dict[str, Any] = {"clips": clips, "seeds": len(seeds)}
    for rule in RULES:
        shares = [sum(clip.success[rule] for clip in results) / clips for results in seeds]
        mean = math.fsum(shares) / len(shares)
        found[rule] = {"share": mean, "interval": wilson(round(mean * clips), clips), "seeds": shares}
    found["tracked"] = _mean([[clip.completed_fraction for clip in results] for results in seeds], most=1.0)
    found["joint_error_m"] = _mean([[clip.joint_error_m for clip in results] for results in seeds])
    done = [[clip.joint_error_m if clip.completed else math.nan for clip in results] for results in seeds]
    found["joint_error_completed_m"] = _mean(done)
    return found


def _mean(seeds: List[List[float]], most: float = math.inf) -> Dict[str, Any]:
    """Over clips, each the mean over the seeds that have a number for it."""
    clips = []
    for values in zip(*seeds):
        known = [value for value in values if math.isfinite(value)]
        if known:
            clips.append(math.fsum(known) / len(known))
    return mean_of_sizes(clips, most)


def markdown(results: Dict[str, Any]) -> str:
    """One row for each config, part and ground; ready for a README.

    Args:
        results: config -> part -> ground -> numbers.
    """
    heads = ["config", "clips", *(TITLES[rule] for rule in RULES), "tracked", "joint error of completed, m"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for config, parts in results.items():
        for part in PARTS:
            for ground, row in parts.get(part, {}).items():
                where = TITLES[part] + ("" if ground == "all" else f", {ground}")
                cells = [config, f"{where}: {row['clips']}", *(_share(row[rule]) for rule in RULES)]
                cells += [f"{100 * row['tracked']['mean']:.0f} %", _metres(row["joint_error_completed_m"])]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _share(found: Dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{100 * found['share']:.1f} % ({100 * low:.0f}–{100 * high:.0f})"


def _metres(found: Dict[str, Any]) -> str:
    if found["mean"] is None:
        return "–"
    if found["interval"] is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} ({found['interval'][0]:.3f}–{found['interval'][1]:.3f})"


def picture(results: Dict[str, Any], title: str) -> str:
    """Bars with intervals as SVG: for each part and ground the three rules, one colour per config."""
    groups = [
        (part, ground, rule)
        for part in PARTS
        for ground in GROUNDS
        for rule in RULES
        if any(ground in parts.get(part, {}) for parts in results.values())
    ]
    bar, left, top, height = 16, 60, 60, 240
    step = bar * len(results) + 18
    width = max(left + step * len(groups) + 150, 420)  # the last label goes on to the right
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + height + 110}" '
        f'width="{width}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="#fff"/><text x="{left}" y="20" font-size="15">{escape(title)}</text>',
    ]
    for k, name in enumerate(results):
        parts.append(f'<rect x="{left + 150 * k}" y="30" width="12" height="12" fill="{_COLOURS[k % 6]}"/>')
        parts.append(f'<text x="{left + 150 * k + 18}" y="41">{escape(name)}</text>')
    for percent in range(0, 101, 20):
        y = top + height * (1 - percent / 100)
        parts.append(f'<line x1="{left}" x2="{width - 130}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{percent} %</text>')
    for place, (part, ground, rule) in enumerate(groups):
        x = left + 12 + step * place
        for k, found in enumerate(results.values()):
            row = found.get(part, {}).get(ground)
            if row is not None:
                parts.append(_bar(row[rule], x + bar * k, bar - 3, top, height, _COLOURS[k % 6]))
        label = f"{TITLES[part]}{'' if ground == 'all' else ', ' + ground}: {TITLES[rule]}"
        at = f"{x + 6},{top + height + 14}"
        parts.append(f'<text transform="translate({at}) rotate(30)" font-size="10">{escape(label)}</text>')
    return "".join(parts) + "</svg>\n"


def _bar(found: Dict[str, Any], x: float, width: float, top: float, height: float, colour: str) -> str:
    low, high = (top + height * (1 - value) for value in found["interval"])
    y, middle = top + height * (1 - found["share"]), x + width / 2
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width}" height="{top + height - y:.1f}" fill="{colour}"/>'
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="#222"/>'
    )
