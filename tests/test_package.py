"""What importing the package does to the process; its version, its types."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from parc_core import __version__
from parc_core.config.paths import PROJECT_ROOT
from parc_tracker.main import app


@pytest.mark.parametrize(("given", "wanted"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_idle_threads_sleep_unless_the_user_says_otherwise(given, wanted):
    env = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    if given is not None:
        env["OMP_WAIT_POLICY"] = given
    # torch's threads read it when torch is first imported, so it must be set before.
    program = "import os, sys, parc_core; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, cwd=PROJECT_ROOT, check=True
    )
    assert result.stdout.split() == [wanted, "False"]


def test_the_command_says_the_version():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"parc-tracker {__version__}\n")


def test_the_citation_has_the_version():
    citation = yaml.safe_load((PROJECT_ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__


@pytest.mark.parametrize("package", ["parc_core", "parc_tracker", "tasks", "flows", "deployments"])
def test_type_checkers_read_the_packages_types(package):
    assert (PROJECT_ROOT / package / "py.typed").is_file()


def test_files_beside_the_code_are_in_the_wheel():
    """Templates, styles and scripts, by the patterns of `package-data`."""
    tomllib = pytest.importorskip("tomllib")
    found = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = found["tool"]["setuptools"]["package-data"]["parc_core"]
    root = PROJECT_ROOT / "parc_core"
    files = {
        path.relative_to(root)
        for path in root.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "shipped" not in path.parts
    }
    left_out = {path for path in files if path.name != "py.typed" and not any(map(path.match, patterns))}
    assert {path.suffix for path in files} >= {".js", ".css", ".j2"} and left_out == set()
