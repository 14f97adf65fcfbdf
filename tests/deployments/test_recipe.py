"""The recipe of docs/operations.md, from nothing to a run, word by word; the server alone is the test's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from parc_core.config.paths import PROJECT_ROOT
from tests.prefect_processes import end, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ADDRESS = "http://127.0.0.1:4200"


def recipe():
    page = (PROJECT_ROOT / "docs/operations.md").read_text()
    section = page.partition("## From nothing to a run in the UI")[2].partition("\n## ")[0]
    server, rest = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    assert server.startswith("prefect server start ")
    assert ADDRESS in rest
    return rest


def test_the_recipe(server, tmp_path):
    unset = ("DATA_DIR", "PARC_STORE", "PARC_WORK", "PREFECT_API_URL")
    env = {name: value for name, value in {**os.environ, **server.environment()}.items() if name not in unset}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    script = "set -e\n" + recipe().replace(ADDRESS, server.url)
    log = tmp_path / "log"
    with open(log, "wb") as out:
        shell = subprocess.Popen(
            ["bash", "-c", script], cwd=tmp_path, env=env, stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait_for("a worker", lambda: b"started!" in log.read_bytes() or shell.poll() is not None, limit=120)
        assert shell.poll() is None, log.read_text()
        changes = {"training": {"max_samples": 64, "num_envs": 8}, "registration": {"model_name": "recipe"}}
        id = server.start_run("tracker-iteration", **changes)
        run = server.wait(id, "Completed", "Failed", "Crashed", limit=240)
        assert run["state"]["name"] == "Completed", run["state"]["message"]
        assert (tmp_path / "store" / "models" / "recipe" / "1" / "model.pt").is_file()
    finally:
        end(shell)
