"""`parc-tracker models …`, on a folder and on a real S3 server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parc_core.storage.store import Store
from parc_tracker.main import app


@pytest.fixture(params=["folder", "s3"], autouse=True)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("COLUMNS", "200")
    url = str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3_url")
    monkeypatch.setenv("PARC_STORE", url)
    return Store()


@pytest.fixture
def training(tmp_path: Path) -> Path:
    folder = tmp_path / "training"
    (folder / "evaluation").mkdir(parents=True)
    (folder / "model.pt").write_bytes(b"weights")
    (folder / "dm_env.yaml").write_text("env: {}\n")
    summary = {
        "completed_share": 0.5,
        "mean_completed_fraction": 0.75,
        "joint_error_completed_m": 0.0625,
        "joint_error_m": 0.125,
    }
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps({"summary": summary}))
    return folder


def run(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["models", *args])
    assert result.exit_code == code, result.output
    return result.output if code == 0 else result.stderr


def test_from_register_to_pull(training: Path, tmp_path: Path) -> None:
    assert "tracker version 1 (best, latest)" in run("register", "tracker", "--from", str(training))
    assert "tracker version 2" in run(
        "register", "tracker", "--from", str(training), "--alias", "iteration-2"
    )
    run("promote", "tracker@2", "--as", "best")
    shown = run("list")
    assert re.search(r"tracker +│ +2 +│ best, iteration-2, latest = 1 +│", shown), shown
    assert re.search(r"50% +│ +75% +│ +0\.062", shown), shown
    shown = run("list", "tracker")
    assert re.search(r"│ +1 +│ latest +│", shown) and re.search(r"│ +2 +│ best, iteration-2 +│", shown), shown
    shown = run("show", "tracker@best")
    assert re.search(r"aliases +│ best, iteration-2 +│", shown), shown
    assert "tracker version 2" in shown and "model.pt, " in shown
    assert re.search(r"MPJPE, global +│ 125\.0 mm", shown), shown
    assert "sha256" not in shown.lower() and "metrics." not in shown and len(shown.splitlines()) < 15
    everything = run("show", "tracker@best", "--all")
    assert "metrics.after.joint_error_m" in everything and "7 bytes, SHA-256 " in everything
    assert json.loads(run("show", "tracker", "--json"))["version"] == 1
    out = run("pull", "registry:tracker@best", "--to", str(tmp_path / "out"))
    assert "4 files" in out
    assert (tmp_path / "out" / "model.pt").read_bytes() == b"weights"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["version"] == 2


def test_evaluations_of_earlier_versions_are_of_clips_with_the_same_names(training: Path) -> None:
    file = training / "evaluation" / "evaluation.json"
    for share, names, said in (
        (0.2, "ab", "best, latest"),
        (0.5, "ac", "version 1 was evaluated on other clips"),
        (0.5, "ba", "best, latest"),
        (0.0, "ab", "it completes no clip"),
    ):
        clips = [{"name": name, "length_s": 2.0} for name in names]
        file.write_text(json.dumps({"clips": clips, "summary": {"completed_share": share, "clips": 2}}))
        assert said in run("register", "tracker", "--from", str(training))


def test_with_lost_clips_tracked_is_below_100(training: Path) -> None:
    summary = {"completed_share": 0.75, "mean_completed_fraction": 1.0}
    (training / "evaluation" / "evaluation.json").write_text(json.dumps({"summary": summary}))
    run("register", "tracker", "--from", str(training))
    assert re.search(r"75% +│ +99%", run("list"))


def test_a_gate_keeps_latest(training: Path) -> None:
    run("register", "tracker", "--from", str(training), "--gate", "min_completed=0.5")
    out = run("register", "tracker", "--from", str(training), "--gate", "max_joint_error=0.06")
    assert "gate failed (joint_error_m is 0.125, max_joint_error is 0.06)" in out
    assert json.loads(run("show", "tracker", "--json"))["version"] == 1
    assert "failed: joint_error_m is 0.125" in run("list", "tracker").replace("\n", " ")
    run("promote", "tracker@2", "--as", "latest")
    assert json.loads(run("show", "tracker", "--json"))["version"] == 2


def test_what_is_said_when_it_cannot_be(training: Path, tmp_path: Path, store: Store) -> None:
    assert json.loads(run("list", "--json")) == {"store": store.url, "models": []}
    assert "aliases" in run("list")
    assert "none registered" in run("show", "tracker", code=65)
    assert "use letters" in run("show", "../x", code=78)
    assert "no model.pt inside" in run("register", "tracker", "--from", str(tmp_path), code=65)
    assert "min_completed=0.9" in run("register", "t", "--from", str(training), "--gate", "x", code=78)
    assert "gate 'min_beauty'" in run(
        "register", "t", "--from", str(training), "--gate", "min_beauty=1", code=78
    )
    assert store.list() == []
    run("register", "tracker", "--from", str(training))
    assert "a number would be taken for a version" in run("promote", "tracker", "--as", "7", code=78)
    assert "there are 1, best, latest" in run("pull", "tracker@good", "--to", str(tmp_path / "out"), code=65)
    store.put_bytes(b"Weights", "models/tracker/1/model.pt")
    error = run("pull", "tracker", "--to", str(tmp_path / "out"), code=65)
    assert "model.pt: damaged" in error and error.count("\n") == 1
    assert not (tmp_path / "out" / "model.pt").exists()


def test_a_manifest_does_not_steer_the_terminal(training: Path, store: Store) -> None:
    run("register", "tracker", "--from", str(training), "--note", "\x1b[2J[red]cleared[/red]")
    for shown in (run("show", "tracker"), run("show", "tracker", "--all"), run("list", "tracker")):
        assert "\x1b" not in shown
    assert "?[2J[red]cleared[/red]" in run("show", "tracker")
