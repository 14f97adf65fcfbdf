"""Texts of files and settings in what commands print: shown as they are, never interpreted, never a traceback."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from parc_core.errors import DataError
from parc_core.evaluation.result import ClipResult, EvalResult, summarize
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store
from parc_tracker import evaluate, flow
from parc_tracker.main import app
from parc_tracker.progress import working
from parc_tracker.tables import print_table

TEXTS = [
    "[/]",
    "[red]loud[/red]",
    "[link=https://x.example]",
    "\ud800",
    "\x1b[2J",
    "a\nb",
    "\\[bold]",
    "ends \\",
]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "sto[red]re"))
    (tmp_path / "model.pt").write_bytes(b"weights")
    return Store()


@pytest.mark.parametrize("text", TEXTS)
def test_models(text: str, store: Store, tmp_path: Path) -> None:
    said = {"note": text, "texts": {"k" + text: text}, "many": [text], "deep": nested(80)}
    files = {"model.pt": tmp_path / "model.pt"}
    manifest = {"lineage": said, "metrics": {"after": {text: text}}}
    if text == "\ud800":  # readers refuse it, so it is not written
        with pytest.raises(DataError, match="half a character"):
            register_model(store, "m", files, manifest, ("latest",))
        return
    register_model(store, "m", files, manifest, ("latest",))
    for arguments in (["list"], ["list", "m"], ["show", "m"], ["pull", "m", "--to", str(tmp_path / "[/]")]):
        result = CliRunner().invoke(app, ["models", *arguments])
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.output and "Traceback" not in result.output
        shown = text.replace("\ud800", "?").replace("\x1b", "?").replace("\n", "?")
        assert arguments[0] != "show" or f"{shown} " in result.output
    assert CliRunner().invoke(app, ["models", "promote", "m@1", "--as", "best"]).exit_code == 0


@pytest.mark.parametrize("text", TEXTS)
def test_refusals(text: str, store: Store) -> None:
    for arguments in (["show", text], ["pull", text, "--to", "x"], ["promote", text, "--as", "best"]):
        result = CliRunner().invoke(app, ["models", *arguments])
        assert result.exit_code in (65, 78), result.output
        assert result.stderr.count("\n") == 1 and "\x1b" not in result.stderr


def printed(table: Table) -> str:
    file = io.StringIO()
    print_table(table, Console(file=file, width=200))
    return file.getvalue()


@pytest.mark.parametrize("text", TEXTS)
def test_evaluations(text: str) -> None:
    clip = ClipResult(text, "walk", 2.0, False, 0.5, 1.0, text, 0.1, {"joint": 0.2}, 30.0, 60)
    result = EvalResult([clip], summarize([clip]))
    shown = text.replace("\ud800", "?").replace("\x1b", "?").replace("\n", "?")
    for table in (evaluate.table(result), flow.comparison(result, result)):
        assert f"{shown} " in printed(table).encode("utf-8").decode()


@pytest.mark.parametrize("text", TEXTS)
def test_signs_of_work(text: str) -> None:
    with working(text, Console(file=io.StringIO(), force_terminal=True)):
        pass


@pytest.mark.parametrize("text", TEXTS)
def test_an_error_is_one_line(text: str) -> None:
    message = str(DataError(f"x: '{text}' is wrong"))
    assert message.isprintable() and message.startswith("x: '")
