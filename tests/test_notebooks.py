"""The notebooks of the docs run from top to bottom."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="Jupyter's nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="Jupyter's nbclient is not installed")
pytest.importorskip("ipykernel", reason="Jupyter's kernel for Python is not installed")
pytest.importorskip("gymnasium")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks_without_outputs():
    assert [path.name for path in NOTEBOOKS] == ["first-steps.ipynb"]
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path, monkeypatch):
    command = tmp_path / "bin" / "parc-tracker"  # of these sources, wherever the installed one comes from
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m parc_tracker.main "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        if "no picture can be drawn" in str(error):
            pytest.skip("nothing draws on this machine")
        raise
    texts = [
        output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "execute_result"
    ]
    assert "['stairs/stairs_0', 'walk/walk_0']" in texts
    assert any(text.startswith("PlayedClip('walk/walk_0'") for text in texts)
    assert any(text.startswith("((4, 1312), (4, 28), ") for text in texts)
    assert (tmp_path / "training" / "model.pt").is_file()
