"""Speeds are read from what trainings wrote, and compared with the right ones; small trainings run end to end."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from benchmarks import scaling
from benchmarks.scaling import costs, main, results, table
from benchmarks.scaling_picture import picture
from benchmarks.scaling_runs import read_speed


def row(part, processes, num_envs, speed, memory=None, number=0):
    point = {"part": part, "processes": processes, "num_envs": num_envs, "round": number}
    return {"point": point, "samples_per_second": speed, "memory_gb": memory}


ROWS = [
    row("one", 1, 8, 100.0, 3.5),
    row("one", 1, 8, 102.0, 3.7, 1),
    row("torchrun", 1, 8, 99.99, 3.5),
    row("weak", 2, 16, 191.9, 4.0),
    row("apart", 2, 16, 202.0, 4.0),
    row("strong", 2, 8, 151.5, 4.0),
    row("weak", 4, 32, 380.0),
]


def test_each_is_compared_with_one_process_of_as_many_environments():
    found = {(r["part"], r["processes"]): r for r in results(ROWS)}
    assert {kind: r["times_one"] for kind, r in found.items()} == {
        ("one", 1): 1.0,
        ("torchrun", 1): 0.99,
        ("weak", 2): 1.9,
        ("apart", 2): 2.0,
        ("strong", 2): 1.5,
        ("weak", 4): 3.762,
    }
    assert (found["one", 1]["samples_per_second"], found["one", 1]["rounds"]) == (101, 2)
    assert (found["one", 1]["memory_gb"], found["weak", 4]["memory_gb"]) == (3.7, None)
    assert costs(results(ROWS)) == [
        "torchrun with one process: 1.0% slower than none",
        "average of the gradients over 2: 5.0% of the time",
    ]
    assert table(results(ROWS)).row_count == 6
    assert [r["times_one"] for r in results(ROWS[3:])] == [None] * 4


def test_the_picture_is_an_svg_with_the_ideal_beside_what_was_measured():
    root = ElementTree.fromstring(picture(results(ROWS)))
    charts = [child for child in root if child.tag.endswith("svg")]
    assert [chart.get("x") for chart in charts] == ["0", "340"]
    curves = [e for e in charts[0].iter() if e.tag.endswith("polyline")]
    assert [curve.get("class") for curve in curves] == ["ideal", "curve"]
    heights = [[float(pair.split(",")[1]) for pair in curve.get("points").split()] for curve in curves]
    assert len(heights[0]) == len(heights[1]) == 3
    assert heights[0][0] == heights[1][0] and heights[0][2] < heights[1][2]  # up is less
    ElementTree.fromstring(picture([]))


def test_the_first_stretches_do_not_count(tmp_path):
    events = [{"event": "start", "time": 100.0, "samples": 0}]
    times = [110.0, 115.0, 116.0, 117.0, 118.0, 120.0, 121.0]
    events += [{"event": "output", "time": at, "samples": 50 * n} for n, at in enumerate(times)]
    path = tmp_path / "progress.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    found = read_speed(path, 98.0)
    assert (found.samples_per_second, found.spread, found.stretches) == (50.0, (25.0, 50.0), 3)
    assert found.startup_seconds == 12.0
    path.write_text("".join(json.dumps(event) + "\n" for event in events[:5]))
    with pytest.raises(RuntimeError, match="4 outputs, of which none counts"):
        read_speed(path, 98.0)


SMALL = ["--device", "cpu", "--engine", "mujoco", "--net", "fc_2layers_8units", "--synthetic", "2"]
SMALL += ["--envs", "2", "--strong-envs", "2", "--every", "1", "--outputs", "2"]


def test_environments_that_cannot_be_shared(tmp_path):
    with pytest.raises(SystemExit, match="--strong-envs 2 cannot be shared by 3"):
        main([*SMALL, "--gpus", "3", "--out", str(tmp_path)])


@pytest.mark.slow
def test_a_training_without_torchrun_and_what_failed(tmp_path, capsys, monkeypatch):
    """What is there is not measured again; a failure is named, and the numbers so far are kept."""
    out = ["--out", str(tmp_path / "out"), "--only", "one"]
    main([*SMALL, *out])
    assert "one, 1 x 2 environments: " in capsys.readouterr().out
    before = json.loads((tmp_path / "out/scaling.json").read_text())
    assert before["rows"][0]["stretches"] >= 2 and before["results"][0]["times_one"] == 1.0
    ElementTree.fromstring((tmp_path / "out/scaling.svg").read_text())

    monkeypatch.setattr(scaling, "train", lambda *_: pytest.fail("measured again"))
    main([*SMALL, *out])

    def fails(*_):
        raise RuntimeError("left with 9: no luck")

    monkeypatch.setattr(scaling, "train", fails)
    with pytest.raises(SystemExit):
        main([*SMALL, *out, "torchrun"])
    assert "torchrun, 1 x 2 environments: left with 9: no luck" in capsys.readouterr().out
    assert json.loads((tmp_path / "out/scaling.json").read_text())["rows"] == before["rows"]
    with pytest.raises(SystemExit, match="is of other settings or another machine"):
        main([*SMALL, *out, "--outputs", "5"])


@pytest.mark.slow
def test_two_processes(tmp_path, capsys):
    main([*SMALL, "--out", str(tmp_path), "--gpus", "2"])
    said = capsys.readouterr().out
    for name in ("one, 1 x 2", "torchrun, 1 x 2", "weak, 2 x 2", "strong, 2 x 1", "apart, 2 x 2"):
        assert f"{name} environments: " in said
    assert "average of the gradients over 2" in said
