"""A terminal that lacks a character shows a "?"; nothing ends in an error for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from parc_core.config.paths import PROJECT_ROOT

SCRIPT = "from parc_core.system.process_setup import set_up_process\nset_up_process()\nprint('54% \\u2192 60% \\udcff')"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_output_in_any_encoding(encoding):
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    arrow = "→" if encoding == "utf-8" else "?"
    assert done.stdout.decode(encoding) == f"54% {arrow} 60% ?\n"


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "parc_tracker.main", "--help"],
        ["-m", "parc_tracker.main", "eval", "--model", "gelöscht→.pt"],
        ["-m", "parc_core.train", "--arg_file", "gelöscht→.txt"],
        ["scripts/parc_3_tracker.py", "--config", "gelöscht→.yaml"],
    ],
)
def test_commands_on_an_ascii_terminal(command):
    if "parc_tracker.main" in command and sys.version_info < (3, 11):
        pytest.skip("the command needs Python 3.11")
    env = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        [sys.executable, *command], env=env, cwd=PROJECT_ROOT, capture_output=True, check=False
    )
    assert done.returncode in (0, 65, 78)
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1
