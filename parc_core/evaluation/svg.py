"""Charts as SVG text, for pages that need nothing else."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Callable, List, Mapping, Sequence, Tuple

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 340, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 34, 34
_MAX_POINTS = 400


def line_chart(
    x: Sequence[float],
    y: Sequence[float],
    title: str,
    x_label: str,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    y_from_zero: bool = True,
    reference: Sequence[float] = (),
    others: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> Markup:
    """One curve with axes; points that are not finite are skipped.

    Args:
        x, y: P values each.
        x_text, y_text: how numbers of an axis are written.
        y_from_zero: the y axis holds 0.
        reference: P values of a second, dashed curve to compare with, such as what would be ideal.
        others: P values each by their names, drawn thinner behind it.

    The picture's `data-points` are the curve's points as JSON, [x, y, text] each, for a page that shows what is under
    the pointer.
    """
    points = _finite(x, y)
    if not points:
        return Markup()
    points = _thin(points)
    x_ticks = nice_ticks(min(p[0] for p in points), max(p[0] for p in points), 4)
    behind = {name: _finite(x, values) for name, values in others.items()}
    heights = [p[1] for part in (points, _finite(x, reference), *behind.values()) for p in part]
    low, high = min(heights), max(heights)
    y_ticks = nice_ticks(min(low, 0.0) if y_from_zero else low, max(high, 0.0) if y_from_zero else high, 4)
    x_place = _scale(points[0][0], max(points[-1][0], points[0][0]), _LEFT, _WIDTH - _RIGHT)
    y_place = _scale(min(y_ticks[0], low), max(y_ticks[-1], high), _HEIGHT - _BOTTOM, _TOP)
    parts = [_text(_LEFT - 34, 16, title, "title")]
    for tick in y_ticks:
        at = y_place(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text(_LEFT - 6, at + 4, y_text(tick), "tick end"))
    for tick in x_ticks:
        if points[0][0] <= tick <= points[-1][0]:
            parts.append(_text(x_place(tick), _HEIGHT - _BOTTOM + 16, x_text(tick), "tick mid"))
    parts.append(_text(_WIDTH - _RIGHT, _HEIGHT - 4, x_label, "tick end"))
    thin = [("curve thin", _thin(part)) for part in behind.values()]
    for style, curve in (("ideal", _finite(x, reference)), *thin, ("curve", points)):
        if curve:
            placed = " ".join(f"{x_place(a):.1f},{y_place(b):.1f}" for a, b in curve)
            parts.append(f'<polyline class="{style}" points="{placed}"/>')
    known = {name: dict(part) for name, part in behind.items()}
    pointed = [
        [
            round(x_place(a), 1),
            round(y_place(b), 1),
            f"{x_text(a)} {x_label}: {y_text(b)}"
            + "".join(f", {name} {y_text(part[a])}" for name, part in known.items() if a in part),
        ]
        for a, b in points
    ]
    end_x, end_y = points[-1]
    parts.append(f'<circle class="dot" cx="{x_place(end_x):.1f}" cy="{y_place(end_y):.1f}" r="3.5"/>')
    parts.append(_text(_WIDTH - _RIGHT, 16, y_text(end_y), "last end"))
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'data-points="{escape(json.dumps(pointed))}">' + "".join(parts) + "</svg>"
    )


def histogram(
    groups: Mapping[str, Sequence[float]],
    title: str,
    x_label: str,
    x_text: Callable[[float], str],
    high: float,
    bins: int = 20,
) -> Markup:
    """How many values lie where, from 0 to `high`, larger ones in the last bar; groups stacked.

    Args:
        groups: values by the class (of CSS) of their bars.
    """
    counts = {
        name: [sum(min(int(v / high * bins), bins - 1) == k for v in values) for k in range(bins)]
        for name, values in groups.items()
    }
    top = nice_ticks(0.0, max(1, *(sum(each) for each in zip(*counts.values()))), 4)
    y_place = _scale(0.0, top[-1], _HEIGHT - _BOTTOM, _TOP)
    width = (_WIDTH - _RIGHT - _LEFT) / bins
    parts = [_text(_LEFT - 34, 16, title, "title")]
    for tick in top:
        at = y_place(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text(_LEFT - 6, at + 4, f"{tick:g}", "tick end"))
    for k in range(bins):
        base = 0
        edges = f"{x_text(high * k / bins)} to {x_text(high * (k + 1) / bins)}"
        for name, each in counts.items():
            if each[k]:
                bottom, peak = y_place(base), y_place(base + each[k])
                parts.append(
                    f'<rect class="bar-{escape(name)}" x="{_LEFT + k * width + 0.5:.1f}" y="{peak:.1f}" '
                    f'width="{width - 1:.1f}" height="{bottom - peak:.1f}">'
                    f"<title>{escape(edges)}: {each[k]} {escape(name)}</title></rect>"
                )
                base += each[k]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = _LEFT + share * bins * width
        anchor = "tick mid" if share < 1.0 else "tick end"
        parts.append(_text(at, _HEIGHT - _BOTTOM + 16, x_text(share * high), anchor))
    parts.append(_text(_WIDTH - _RIGHT, _HEIGHT - 4, x_label, "tick end"))
    label = f'class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"'
    return Markup(f"<svg {label}>" + "".join(parts) + "</svg>")


def _finite(x: Sequence[float], y: Sequence[float]) -> List[Tuple[float, float]]:
    return [(a, b) for a, b in zip(x, y) if math.isfinite(a) and math.isfinite(b)]


def nice_ticks(low: float, high: float, count: int) -> List[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten) from at or below `low` to at or above `high`."""
    span = high - low
    if not span > 0:
        return [low, low + (abs(low) or 1.0)]
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(m * power for m in (1, 2, 5, 10) if m * power * count >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _thin(points: List[Tuple[float, float]]) -> List[Tuple[float, float]]:
    """At most `_MAX_POINTS` points, the last one among them."""
    every = max(-(-len(points) // _MAX_POINTS), 1)
    return points[-1::-every][::-1]


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
