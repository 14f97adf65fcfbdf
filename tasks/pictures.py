"""Curves as a picture for the run's page: one SVG that needs nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

from parc_core.evaluation.curves import read_curves
from parc_core.evaluation.result import percent
from parc_core.evaluation.svg import line_chart

_WIDTH, _HEIGHT = 340, 210
_CHARTS = (
    ("Train_Return", "Return per episode", "{:.4g}".format),
    ("Train_Episode_Length", "Steps per episode", "{:.4g}".format),
    ("Completed", "Episodes completed", percent),
)
_STYLE = (
    "text{font:11px sans-serif;fill:#667}.title{font-size:13px;fill:#223;font-weight:600}"
    ".last{font-size:13px;fill:#2b6cb0;font-weight:700}.end{text-anchor:end}.mid{text-anchor:middle}"
    ".grid{stroke:#dde}.curve{fill:none;stroke:#2b6cb0;stroke-width:2}.dot{fill:#2b6cb0}"
)


def curves_svg(folder: Path) -> str:
    """The learning curves of a training folder beside each other; "" where it has none yet."""
    curves = read_curves(folder)
    charts = [
        line_chart(curves.samples, curves.values[column], title, "samples", "{:.3g}".format, text)
        for column, title, text in _CHARTS
        if column in curves.values
    ]
    if not charts:
        return ""
    placed = "".join(
        str(chart).replace("<svg ", f'<svg x="{place * _WIDTH}" width="{_WIDTH}" height="{_HEIGHT}" ', 1)
        for place, chart in enumerate(charts)
    )
    width = len(charts) * _WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}" '
        f'viewBox="0 0 {width} {_HEIGHT}"><style>{_STYLE}</style>'
        f'<rect width="{width}" height="{_HEIGHT}" fill="#fff"/>{placed}</svg>'
    )


def data_uri(svg: str) -> str:
    """An address that is the picture itself: whoever sees the page sees it, whatever files they reach."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
