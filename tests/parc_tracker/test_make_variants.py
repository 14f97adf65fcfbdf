"""`parc-tracker make-motions --from`: what it prints, its JSON, its picture, and options that don't go together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from parc_core.errors import EXIT_BAD_CONFIG
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.container import write_motion_terrain
from parc_tracker.main import app
from parc_tracker.motions import _chosen
from tests.motion.variants.step_clip import flat, step_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in/steps").mkdir(parents=True)
    write_motion_terrain(tmp_path / "in/steps/step.pkl", MotionTerrain(step_clip(), flat()))
    (tmp_path / "in/steps/broken.pkl").write_bytes(b"no pickle")
    return tmp_path


def run(*options: object):
    return CliRunner().invoke(app, ["make-motions", *map(str, options)])


def test_counts_and_reasons_are_printed(folder):
    result = run(
        "--from",
        folder / "in",
        "--out",
        folder / "out",
        "--variants",
        2,
        "--vary",
        "surroundings",
        "--mirror",
    )
    assert result.exit_code == 0, result.output
    assert "2 variants and 3 mirror images of 1 motions in" in result.output
    assert "skipped: " in result.output and "broken.pkl" in result.output
    assert "original" in result.output and "surroundings" in result.output
    assert len(list((folder / "out/steps").glob("*.pkl"))) == 5


def test_json(folder):
    result = run("--from", folder / "in", "--out", folder / "out", "--variants", 3, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["sources"] == 1 and len(found["skipped"]) == 1
    assert sum(found["kept"].values()) + sum(found["dropped_by_reason"].values()) == 3
    assert len(found["files"]) == sum(found["kept"].values()) and all(map(str.isprintable, found["files"]))
    assert found["numbers"][0]["kind"] == "original" and found["numbers"][0]["penetration_max_m"] < 0.01


def test_picture(folder):
    target = folder / "picture.png"
    result = run("--from", folder / "in", "--out", folder / "out", "--variants", 2, "--vary", "surroundings",
                 "--picture", target)  # fmt: skip
    assert result.exit_code == 0, result.output
    if "no picture: " in result.output:
        pytest.skip(result.output)
    with Image.open(target) as image:
        assert image.size == (960, 340)
        assert len(image.getcolors(256) or []) > 20


def test_pictures_show_every_kind_and_motion():
    rows = [
        {"file": f"c/clip{clip}_var{number:03d}.pkl", "kind": kind, "ground": ground}
        for clip in range(6)
        for number, (kind, ground) in enumerate(
            (("surroundings", ""), ("footing", "stairs"), ("footing", "curb"))
        )
    ]
    chosen = _chosen(rows)
    assert len(chosen) == 12
    assert {row["ground"] for row in chosen} == {"", "stairs", "curb"}
    assert len({row["file"].split("_")[0] for row in chosen}) == 6
    assert len(_chosen(rows[:2])) == 2


@pytest.mark.parametrize(
    "options, message",
    [
        (["--variants", "3"], "--variants needs --from"),
        (["--vary", "both"], "--vary needs --from"),
        (["--mirror"], "--mirror needs --from"),
        (["--picture", "x.png"], "--picture needs --from"),
        (["--from", "in", "--kind", "walk"], "--kind is of generated motions"),
        (["--from", "in", "--count", "3"], "--count is of generated motions"),
        (["--from", "in", "--max-seconds", "3"], "--max-seconds is of generated motions"),
        (["--from", "in", "--vary", "walls"], "choose from surroundings, footing, both"),
    ],
)
def test_options_that_do_not_go_together(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*options)
    assert result.exit_code == EXIT_BAD_CONFIG
    assert message in result.output
