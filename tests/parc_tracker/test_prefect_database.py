"""A data base of another Prefect is refused in one line, before Prefect says it in a traceback."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from parc_core.config.paths import PROJECT_ROOT


def said(home: Path) -> str:
    """The first line of the server for a run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env = {**kept, "PREFECT_HOME": str(home), "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-m", "parc_tracker.prefect_server", str(os.getpid())]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        return process.stdout.readline()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("revision", "refused"),
    [
        ("fffffffffff0", True),
        ("9725c1cbee35", False),  # Prefect's first: an older data base is upgraded by Prefect
        (None, False),
    ],
)
def test_the_version_of_the_data_base(revision, refused, tmp_path):
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as base, base:
        if revision is not None:
            base.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            base.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    line = said(tmp_path)
    assert line.startswith("refused: " if refused else "http://127.0.0.1:")
    if refused:
        assert f"{tmp_path / 'prefect.db'} was made by another version of Prefect than" in line
        assert "set PREFECT_HOME to another folder" in line
