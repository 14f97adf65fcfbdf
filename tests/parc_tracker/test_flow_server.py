"""Prefect's server of `parc-tracker run`: where it is not needed, and where it does not start."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ParcError
from parc_tracker import embedded_server
from parc_tracker.embedded_server import EmbeddedServer


@pytest.fixture
def before_prefect(monkeypatch, tmp_path):
    """A process that has not imported Prefect yet; returns how to say what the server does."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def server_is(script: str) -> EmbeddedServer:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(embedded_server, "sys", SimpleNamespace(executable=str(path), modules={}))
        return EmbeddedServer()

    return server_is


def test_a_server_of_the_users_profile_is_left_in_charge(tmp_path):
    (tmp_path / "profiles.toml").write_text(
        'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://prefect.example:4200/api"\n'
    )
    env = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    done = subprocess.run(
        [sys.executable, "-m", "parc_tracker.prefect_server", str(os.getpid())],
        env={**env, "PREFECT_HOME": str(tmp_path)},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "\n")


def test_nothing_is_named_to_prefect_where_the_user_has_a_server(before_prefect):
    server = before_prefect("echo")
    server.start()
    server.use()
    assert "PREFECT_API_URL" not in os.environ
    assert server.wait() is False
    server.stop()


def test_no_server_starts_where_the_environment_names_one(before_prefect, monkeypatch, tmp_path):
    server = before_prefect(f"touch {tmp_path}/started")
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example:4200/api")
    server.start()
    server.use()
    assert server.wait() is False
    assert not (tmp_path / "started").exists()


def test_a_server_that_does_not_start_is_one_line(before_prefect):
    server = before_prefect("exit 3")
    server.start()
    with pytest.raises(ParcError, match=r"^Prefect's embedded server ended with 3; see its output above"):
        server.use()
    server.stop()


def test_a_server_that_ends_before_it_answers_is_one_line(before_prefect, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "")  # put back after the test
    server = before_prefect("echo http://127.0.0.1:9/api; exit 3")
    server.start()
    server.use()
    with pytest.raises(ParcError, match="ended with 3"):
        server.wait()
    server.stop()
