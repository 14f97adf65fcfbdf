"""`parc-tracker dataset`: what is written, printed and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_tracker.main import app
from tests.motion.dataset.merging import config, own_folder
from tests.motion.small_files import write_small

__all__ = ["own_folder"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(5):
        write_small(tmp_path / "in" / "walk" / f"w{i}.pkl", frames=30, height=0.9 + i / 100)
        write_small(tmp_path / "in" / "walk" / f"w{i}_mirror.pkl", frames=30, height=1.0 + i / 100)
    return tmp_path / "in"


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["dataset", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def test_make_gives_what_the_merge_of_a_training_gives(folder: Path, tmp_path: Path) -> None:
    built = json.loads(run("make", folder, "--out", tmp_path / "a", "--json"))
    same = create_dataset(config(folder, save_path=str(tmp_path / "b")))
    assert built["sha256"] == same["sha256"] and built["num_motions"] == 10
    assert built["motions_yaml"] == str(tmp_path / "a" / "motions.yaml")
    (tmp_path / "d.yaml").write_text(
        f"folder_paths: [{folder}]\nsave_path: {tmp_path}/c/m.yaml\nmin_num_frames: 99\n"
    )
    assert "dataset would be empty" in run("make", "--config", tmp_path / "d.yaml", code=65)


def test_check_lists_what_is_refused_and_says_so_by_its_exit_code(folder: Path) -> None:
    assert "10 of 10 files can be used" in run("check", folder)
    (folder / "walk" / "bad.pkl").write_bytes(b"x")
    text = run("check", folder, code=65)
    assert "walk/bad" in text and "1 of 11 files are refused, the first" in text
    found = json.loads(CliRunner().invoke(app, ["dataset", "check", str(folder), "--json"]).stdout)
    assert found["totals"]["refused"] == 1 and found["clips"][0]["verdict"] == "refused"
    assert found["totals"]["clips"] == 5


def test_split_of_folders_and_of_their_dataset_is_the_same(folder: Path, tmp_path: Path) -> None:
    text = run("split", folder, "--held-out", "20%", "--out", tmp_path / "a")
    assert "2 motions, 1 clips" in text and "held_out_motions: [" in text
    found = json.loads(run("split", tmp_path / "a", "--held-out", "0.2", "--json"))
    assert found["train"]["motions"] == 8 and len(found["held_out_clips"]) == 1
    held_out = read_motions_yaml(tmp_path / "a" / "held_out.yaml").entries
    assert len(held_out) == 2 and all(Path(entry.file).is_file() for entry in held_out)


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["make"], 78, "no folder is given"),
        (["check", "nowhere"], 65, "no such folder"),
        (["check", "nowhere.yaml"], 65, "nowhere.yaml: no such file"),
        (["split", "a.yaml", "b"], 78, "a.yaml is a dataset; name it alone"),
        (["split", "nowhere", "--held-out", "3"], 78, "such as 10% or 0.1"),
        (["split", "nowhere", "--out", "x"], 65, "no such folder"),
    ],
)
def test_bad_input_is_one_line(args: list[str], code: int, says: str) -> None:
    text = run(*args, code=code)
    assert says in text and text.count("\n") == 1
