"""Table, picture and JSON of learning curves from log.txt."""

from __future__ import annotations

import json

import pytest

from benchmarks import learning_curves

COLUMNS = ("Samples", "Wall_Time", "Eval_Completed", "Eval_Joint_Error", "Train_Return", "Samples_Per_Second")


def write_log(folder, rows):
    folder.mkdir()
    lines = ["  ".join(COLUMNS), *("  ".join(map(str, row)) for row in rows)]
    (folder / "log.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folders(tmp_path):
    write_log(
        tmp_path / "s0",
        [(100, 0.5, 0.1, "nan", 3.0, 9), (200, 1.0, 0.3, 0.2, 4.0, 9), (300, 1.5, 1, 0.1, 5, 8)],
    )
    write_log(tmp_path / "s1", [(150, 0.5, 0.2, 0.3, 3.5, 9)])
    return tmp_path


def test_rows_are_the_last_line_at_or_before_a_count(folders):
    runs = [learning_curves.read_run(f"a={folders / 's0'}"), learning_curves.read_run(str(folders / "s1"))]
    rows = learning_curves.table_rows(runs, [50, 250])
    assert [(row["name"], row["at"], row["samples"]) for row in rows] == [
        ("a", 250, 200.0),
        ("a", "end", 300.0),
        ("s1", "end", 150.0),
    ]
    assert rows[0]["minutes"] == 60.0 and rows[0]["Eval_Joint_Error"] == 0.2


def test_picture_and_json(folders, capsys):
    out = folders / "out"
    learning_curves.main([f"a={folders / 's0'}", f"a={folders / 's1'}", "--at", "100", "--out", str(out)])
    assert (out / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((out / "learning_curves.json").read_text())
    assert written["rows"][0]["Eval_Joint_Error"] is None  # nothing was completed yet
    assert written["runs"][1]["Train_Return"] == [3.5]
    assert "100%" in capsys.readouterr().out


def test_a_folder_without_log(tmp_path):
    with pytest.raises(SystemExit, match="has no log"):
        learning_curves.read_run(str(tmp_path))
