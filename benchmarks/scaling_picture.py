"""The picture of `benchmarks scaling`: samples/s over the number of GPUs, beside what it would be without any loss."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from parc_core.evaluation.svg import line_chart

_STYLE = (
    "text{font:11px sans-serif;fill:#555} .title{font-size:13px;fill:#111;font-weight:600} "
    ".last{font-size:13px;fill:#0b62c4;font-weight:700} .end{text-anchor:end} .mid{text-anchor:middle} "
    ".grid{stroke:#ddd} .curve{fill:none;stroke:#0b62c4;stroke-width:2} .dot{fill:#0b62c4} "
    ".ideal{fill:none;stroke:#999;stroke-dasharray:4 3}"
)
_WIDTH, _HEIGHT = 340, 210


def picture(found: Sequence[Dict[str, Any]]) -> str:
    """An SVG file with a chart for weak and one for strong scaling, where there is more than one point of it."""
    charts = []
    for part, what in (("weak", "environments a GPU"), ("strong", "environments in all")):
        rows = sorted((row for row in found if row["part"] == part), key=lambda row: row["processes"])
        if not rows:
            continue
        first = rows[0]
        num_envs = first["num_envs"] // (first["processes"] if part == "weak" else 1)
        alone = [row for row in found if row["part"] == "one" and row["num_envs"] == num_envs]
        charts.append(_chart([*alone, *rows], f"{part} scaling, {num_envs:,} {what}", bool(alone)))
    placed = "".join(
        chart.replace("<svg ", f'<svg x="{_WIDTH * number}" width="{_WIDTH}" height="{_HEIGHT}" ', 1)
        for number, chart in enumerate(charts)
    )
    width = _WIDTH * max(1, len(charts))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" '
        f'height="{_HEIGHT}"><style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{placed}</svg>\n'
    )


def _chart(rows: List[Dict[str, Any]], title: str, with_ideal: bool) -> str:
    processes = [row["processes"] for row in rows]
    speeds = [row["samples_per_second"] for row in rows]
    ideal = [speeds[0] * count / processes[0] for count in processes] if with_ideal else []
    return str(line_chart(processes, speeds, title, "GPUs", "{:g}".format, _speed, reference=ideal))


def _speed(value: float) -> str:
    return f"{value / 1e6:.3g} M/s" if value >= 1e6 else f"{value / 1e3:.3g} k/s"
