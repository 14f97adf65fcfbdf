"""`parc-tracker compare`: what a name means, and what is printed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from parc_core.errors import ConfigError
from parc_core.evaluation.result import EvalResult, summarize
from parc_tracker.compare import evaluation_of, labels
from parc_tracker.main import app
from tests.evaluation.sample_data import clip


def _run(folder, share):
    clips = [clip("walk/a", share, 0.1, 10.0), clip("walk/b", 1.0, 0.05, 20.0)]
    (folder / "evaluation").mkdir(parents=True)
    EvalResult(clips, summarize(clips), {}).save(folder / "evaluation" / "evaluation.json")
    (folder / "model.pt").write_bytes(b"")
    return folder


def test_models_folders_and_files_are_found(tmp_path):
    run = _run(tmp_path / "run_1", 1.0)
    file = run / "evaluation" / "evaluation.json"
    assert [evaluation_of(str(place)) for place in (run, run / "model.pt", file, run / "evaluation")] == [
        file
    ] * 4
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="not evaluated yet"):
        evaluation_of(str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="no such file or folder"):
        evaluation_of(str(tmp_path / "nothing"))


def test_labels_are_as_short_as_they_differ():
    assert labels(["/x/a/model.pt", "/x/b/model.pt"]) == ["a/model.pt", "b/model.pt"]
    assert labels(["registry:m@best", "/x/b"]) == ["registry:m@best", "b"]
    assert labels(["/x/b", "/x/b"]) == ["x/b (1)", "x/b (2)"]


def test_table_page_and_json(tmp_path):
    runs = [str(_run(tmp_path / name, share)) for name, share in (("first", 0.5), ("second", 1.0))]
    page = tmp_path / "out" / "compare.html"
    shown = CliRunner().invoke(app, ["compare", *runs, "--out", str(page)])
    assert shown.exit_code == 0 and "2 of 2 (100%)" in shown.output and page.is_file()
    as_json = CliRunner().invoke(app, ["compare", *runs, "--out", str(page), "--json"])
    data = json.loads(as_json.stdout)
    assert data["changes"][0]["gained"] == 1 and [m["name"] for m in data["models"]] == ["first", "second"]
    assert data["clips"][0] == {
        "name": "walk/a",
        "completed_fraction": [0.5, 1.0],
        "joint_error_m": [0.1, 0.1],
        "end_reason": ["fall", "completed"],
    }
    alone = CliRunner().invoke(app, ["compare", runs[0]])
    assert alone.exit_code == 78 and "at least two" in alone.output
