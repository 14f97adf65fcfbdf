"""Tables are whole wherever they are printed, and commands that print one print JSON, too."""

from __future__ import annotations

import ast
import io
import json
import math
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.main import get_command
from typer.testing import CliRunner

from parc_core.config.paths import PROJECT_ROOT
from parc_core.evaluation.result import EvalResult, summarize
from parc_core.storage.references import file_ref
from parc_tracker.doctor import checks
from parc_tracker.doctor.check import Check
from parc_tracker.flow import show_result
from parc_tracker.main import app
from parc_tracker.tables import print_json, print_table
from tests.evaluation.sample_data import clip

NAMES = ["sie_run_left_around_the_corner_0001", "sie_run_left_around_the_corner_0002", "走る" * 20, "a b c"]
NUMBERS = ["12,345,678.25 → 87,654,321.75", "-0.125 → 0.125", "3", "100%"]
TITLE = "A title that is longer than any of these terminals is wide, with /a/path/to/a/store " + "x" * 80


def table() -> Table:
    found = Table(title=TITLE)
    found.add_column("motion")
    for heading in ("joint error of completed (m)", "return"):
        found.add_column(heading, justify="right")
    found.add_column("ended by")
    for name, number in zip(NAMES, NUMBERS, strict=True):
        found.add_row(name, number, "7.5", "root position")
    return found


def printed(terminal: bool, width: int) -> list[str]:
    file = io.StringIO()
    print_table(table(), Console(file=file, width=width, force_terminal=terminal, no_color=True))
    text = file.getvalue()
    assert "…" not in text
    return [Text.from_ansi(line).plain for line in text.splitlines()]


@pytest.mark.parametrize("width", [20, 80, 300])
def test_in_a_pipe_every_row_is_one_whole_line(width):
    lines = printed(False, width)
    for name, number in zip(NAMES, NUMBERS, strict=True):
        assert lines[0] == TITLE
        assert sum(f" {name} " in line and f" {number} " in line for line in lines) == 1


@pytest.mark.parametrize("width", [20, 60, 80, 100])
def test_in_a_terminal_names_are_folded_and_numbers_are_not(width):
    lines = printed(True, width)
    rows = [line.split("│")[1:-1] for line in lines if line.startswith("│")]
    folded = "".join(cells[0].strip() for cells in rows)
    assert all(name.replace(" ", "") in folded.replace(" ", "") for name in NAMES)
    numbers = [cells[1].strip() for cells in rows]
    assert [number for number in numbers if number] == NUMBERS
    if width >= 80:
        assert max(map(cell_len, lines[1:])) <= width


def test_what_fits_stays_as_it_is():
    assert printed(True, 300) == printed(False, 10)


def test_json_that_any_reader_takes(capsys):
    print_json({"nan": math.nan, "deep": [{"inf": (-math.inf, 1)}], "text": "走\udc80"})
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"nan": None, "deep": [{"inf": [None, 1]}], "text": "走\udc80"}


def test_every_table_is_printed_whole():
    """Rich's own printing cuts what does not fit."""
    files = [*(PROJECT_ROOT / "parc_tracker").glob("*.py"), *(PROJECT_ROOT / "benchmarks").rglob("*.py")]
    makers = {"table", "_table", "Table", "comparison", "models_table", "model_table"}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "print"
            ):
                names = {
                    inner.id for arg in node.args for inner in ast.walk(arg) if isinstance(inner, ast.Name)
                }
                attributes = {
                    inner.attr for arg in node.args for inner in ast.walk(arg) if hasattr(inner, "attr")
                }
                assert file.name == "tables.py" or not makers & (names | attributes), f"{file}:{node.lineno}"


@pytest.mark.parametrize(
    "command", ["run", "demo", "eval", "record", "deploy", "doctor", "replay", "models list", "models show"]
)
def test_commands_with_a_table_take_json(command):
    found = get_command(app)
    for name in command.split():
        found = found.commands[name]
    assert any("--json" in parameter.opts for parameter in found.params)


@pytest.mark.parametrize(
    ("words", "found"), [("parc-tracker mod", "models"), ("parc-tracker eval --mo", "--model")]
)
def test_shells_complete_commands_and_options(words, found):
    environment = {"_PARC_TRACKER_COMPLETE": "complete_bash", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split()) - 1)
    result = CliRunner().invoke(app, [], prog_name="parc-tracker", env=environment)
    assert result.stdout.split() == [found]


def test_doctor(monkeypatch):
    monkeypatch.setattr(checks, "checks", lambda: [Check("store", False, "none [/]", "make one")])
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    [check] = json.loads(result.stdout)["checks"]
    assert check == {"name": "store", "ok": False, "detail": "none [/]", "fix": "make one", "needed": True}


@pytest.fixture
def pipeline_result(tmp_path: Path, monkeypatch):
    """What the flow returns, of two clips with names that Rich would take for markup."""
    monkeypatch.setenv("PARC_STORE", str(tmp_path))
    refs = {}
    for name, share in (("before", 0.5), ("after", 1.0)):
        clips = [clip("sie/[/]run", share, 0.1, 30.0), clip("sie/run_2", 0.995, 0.2, 20.0)]
        EvalResult(clips, summarize(clips)).save(tmp_path / f"{name}.json")
        refs[name] = {"evaluation": file_ref(tmp_path / f"{name}.json"), "report": None, "video": None}
    model = {"name": "tiny", "version": 3, "model": file_ref(tmp_path / "before.json")}
    numbers = {"completed": 1, "clips": 2, "mean_completed_fraction": 0.995, "joint_error_m": 0.1}
    quality = {"penetration_mean_m": 0.01, "foot_skating_m_s": None}
    recording = {
        "folder": "recordings/k/recorded_motions",
        "summary": {"recorded": 1, "motions": 2, "quality": quality},
    }
    results = {"model": model, "recording": recording, "after": {"summary": numbers}}
    return {**refs, "model": model, "recording": recording, "iterations": [results, results]}


def test_the_pipelines_result(pipeline_result, capsys):
    show_result(pipeline_result)
    text = capsys.readouterr().out
    assert "sie/[/]run" in text and "50% → 100%" in text and "0 → 1 of 2 completed" in text
    assert "99% → 99%" in text and "completed %" not in text
    assert text.count("tiny version 3") == 3 and "1 of 2" in text and "0.010" in text
    show_result(pipeline_result, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["before"]["summary"]["completed"]) == ({"name": "tiny", "version": 3}, 0)
    assert found["after"]["clips"][0]["name"] == "sie/[/]run" and Path(found["files"]["model"]).is_file()
    assert found["recording"]["recorded"] == 1
    assert found["files"]["recorded"].endswith("recordings/k/recorded_motions")
