"""Several first starts at once on a machine without Prefect's database."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from parc_core.config.paths import PROJECT_ROOT
from parc_core.system.locks import locked
from parc_tracker.prefect_server import LOCK

pytestmark = pytest.mark.slow


def environment(home: Path) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **env,
        "PREFECT_HOME": str(home),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PYTHONPATH": str(PROJECT_ROOT),
    }


def test_a_start_touches_no_database_while_another_one_is_under_way(tmp_path: Path) -> None:
    home = tmp_path / "prefect"
    home.mkdir()
    command = [sys.executable, "-m", "parc_tracker.prefect_server", str(os.getpid())]
    with contextlib.ExitStack() as stack:
        with locked(open(home / LOCK, "a")):
            server = subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True)
            stack.callback(server.wait)
            stack.callback(server.terminate)
            assert server.stdout is not None
            stack.callback(server.stdout.close)
            address = server.stdout.readline().strip()
            with pytest.raises(TimeoutError):
                urlopen(f"{address}/health", timeout=8)
            assert not list(home.glob("*.db"))
        with urlopen(f"{address}/health", timeout=180) as answer:
            assert answer.status == 200
        assert list(home.glob("*.db"))


def test_one_waits_until_the_other_has_made_the_database(tmp_path: Path) -> None:
    env = environment(tmp_path / "prefect")
    command = [sys.executable, "-m", "parc_tracker.prefect_server", str(os.getpid())]
    logs = [tmp_path / f"{k}.log" for k in range(3)]
    with contextlib.ExitStack() as stack:
        servers = []
        for path in logs:
            log = stack.enter_context(open(path, "wb"))
            server = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
            stack.callback(server.wait)
            stack.callback(server.terminate)
            servers.append(server)
        for server in servers:
            assert server.stdout is not None
            stack.callback(server.stdout.close)
            address = server.stdout.readline().strip()
            with urlopen(f"{address}/health", timeout=180) as answer:
                assert answer.status == 200
    assert [path.read_text() for path in logs] == ["", "", ""]
