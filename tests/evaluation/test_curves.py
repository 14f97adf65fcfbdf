"""Curves from the files that a training writes."""

from __future__ import annotations

import html
import json
import math
import re

from parc_core.evaluation.curves import read_curves
from parc_core.evaluation.svg import line_chart, nice_ticks


def _event(samples, value, event="output"):
    return json.dumps(
        {"event": event, "samples": samples, "Wall_Time": samples / 1000, "Train_Return": value}
    )


def test_log_comes_first_and_damaged_lines_are_left_out(tmp_path):
    lines = [
        "Samples  Wall_Time  Train_Return",
        "100  0.1  1.5",
        "200  0.2",
        "300  0.3  nan",
        "400  0.4  3.5",
    ]
    (tmp_path / "log.txt").write_text("\n".join(lines))
    (tmp_path / "progress.jsonl").write_text(_event(7, 7.0))
    curves = read_curves(tmp_path)
    assert curves.samples == [100.0, 300.0, 400.0] and curves.hours == [0.1, 0.3, 0.4]
    assert curves.values["Train_Return"][::2] == [1.5, 3.5] and math.isnan(curves.values["Train_Return"][1])
    assert "Completed" not in curves.values


def test_repeated_part_after_a_continuation_counts_once(tmp_path):
    """Samples 200 and 300 were run again from the checkpoint at 100; the last line was being written."""
    events = [_event(100, 1.0), _event(200, 2.0), _event(300, 3.0), _event(100, 0.0, "heartbeat")]
    events += [_event(200, 2.5), _event(300, 3.5), '{"event": "outp']
    (tmp_path / "progress.jsonl").write_text("\n".join(events))
    curves = read_curves(tmp_path)
    assert curves.samples == [100.0, 200.0, 300.0]
    assert curves.values["Train_Return"] == [1.0, 2.5, 3.5]


def test_empty_folder_has_no_curves(tmp_path):
    assert len(read_curves(tmp_path)) == 0


def test_ticks_are_round_and_hold_the_range():
    assert nice_ticks(0.0, 92.0, 4) == [0.0, 50.0, 100.0]
    assert nice_ticks(-3.0, 7.0, 4) == [-5.0, 0.0, 5.0, 10.0]


def test_chart_escapes_and_thins():
    chart = line_chart(range(5000), range(5000), "a < b", "x", str, lambda v: f"{v:g}")
    assert "a &lt; b" in chart and ">4999<" in chart
    (points,) = re.findall(r'class="curve" points="([^"]*)"', chart)
    assert points.count(",") <= 401  # 400 points and the last one
    pointed = json.loads(html.unescape(re.findall(r'data-points="([^"]*)"', chart)[0]))
    assert len(pointed) <= 401 and pointed[-1][2] == "4999 x: 4999"
