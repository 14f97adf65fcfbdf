"""The numbers of a frame beside the live scene, and one curve of the clip so far, as HTML."""

from __future__ import annotations

import html
import math
from typing import List

from parc_core.viewing.clip_scene import label_and_unit
from parc_core.viewing.player import Player
from parc_core.viewing.source import Frame

_WIDTH, _HEIGHT = 240, 44


def numbers_html(player: Player, frame: Frame) -> str:
    """Time, what is odd, and the numbers of a frame with their limits and bars for reward terms.

    The first number has its curve below it.
    """
    rows = [f"<b>{player.time:.2f} s</b>, frame {player.frame} of {player.num_frames - 1}"]
    if frame.note:
        rows.append(f'<b style="color:#c0392b">{html.escape(frame.note)}</b>')
    for place, (name, value) in enumerate(frame.numbers.items()):
        label, unit = label_and_unit(name)
        limit, below = player.source.limits.get(name), ""
        beyond = limit is not None and value > limit
        if name.endswith("_r"):
            width = 100 * min(max(value, 0.0), 1.0)
            below = f'<div style="height:3px;width:{width:.0f}%;background:#3a9a5b"></div>'
        elif place == 0:
            below = curve_svg(player.source.curve(), player.frame, player.num_frames)
        number = f"<b{' style=color:#c0392b' if beyond else ''}>{value:.3f}</b> {unit}"
        said = "" if limit is None else f" (limit {limit:g})"
        rows.append(f"{html.escape(label)} {number}{said}{below}")
    lines = "".join(f"<div>{row}</div>" for row in rows)
    return f'<div style="padding:0 .8em .4em;font-size:.85em;line-height:1.45">{lines}</div>'


def curve_svg(values: List[float], now: int, num_frames: int) -> str:
    """A small curve over the frames of a clip, as far as they are known, with a line at the frame shown."""
    top = max([value for value in values if math.isfinite(value)], default=0.0) or 1.0
    across = _WIDTH / max(num_frames - 1, 1)
    points = " ".join(
        f"{k * across:.1f},{_HEIGHT - 1 - max(value, 0.0) / top * (_HEIGHT - 3):.1f}"
        for k, value in enumerate(values[:num_frames])
        if math.isfinite(value)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' style="display:block;width:100%;height:{_HEIGHT}px;background:#8881">'
        f"<title>up to {top:.3f}</title>"
        f'<polyline points="{points}" fill="none" stroke="#e0692a" stroke-width="1.5"/>'
        f'<path d="M{now * across:.1f} 0V{_HEIGHT}" stroke="#888"/></svg>'
    )
