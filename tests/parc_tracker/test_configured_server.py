"""Prefect's settings that do not allow a run, and a server that is not there: one line and an exit code."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError, ServerUnreachable
from parc_tracker import configured_server
from parc_tracker.configured_server import check_server, without_unusable_proxies

DEAD = "http://127.0.0.1:9/api"


def command(*words: str, **variables: str) -> tuple[int, list[str]]:
    """Exit code and the lines on standard error of `parc-tracker`."""
    env = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    env.update(variables, PYTHONPATH=str(PROJECT_ROOT))
    done = subprocess.run(
        [sys.executable, "-m", "parc_tracker.main", *words],
        env=env,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("variable", "value", "code", "message"),
    [
        ("PREFECT_API_URL", DEAD, 69, f"the Prefect server {DEAD} does not answer"),
        pytest.param(
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE",
            "false",
            78,
            "forbids a temporary one; start one with",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "PREFECT_LOGGING_LEVEL",
            "loud",
            78,
            "Prefect's settings are not valid: LoggingSettings level: ",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_run_says_it_in_one_line(tracker_config, tmp_path, variable, value, code, message):
    home = str(tmp_path / "prefect")
    found, lines = command("run", "--config", str(tracker_config), PREFECT_HOME=home, **{variable: value})
    assert (found, len(lines)) == (code, 1), lines
    assert lines[0].startswith("error: ") and message in lines[0]


def test_deploy_says_it_too(tracker_config):
    found, lines = command("deploy", "--config", str(tracker_config), PREFECT_API_URL=DEAD)
    assert (found, len(lines)) == (69, 1), lines
    assert "does not answer (" in lines[0]


@pytest.fixture
def server_of() -> Iterator:
    """Starts a server that answers everything with one status; gives its API's address."""
    servers = []

    def start(status: int) -> str:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keeps quiet."""

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/api"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def named(monkeypatch):
    """Lets Prefect's settings name a server."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    stack = []

    def name(url: str) -> None:
        stack.append(temporary_settings({PREFECT_API_URL: url}))
        stack[-1].__enter__()

    yield name
    for settings in reversed(stack):
        settings.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("status", "error"), [(404, "is not Prefect's API"), (401, r"refuses \(401\)"), (403, r"refuses \(403\)")]
)
def test_what_answers_and_is_not_a_server_for_us(server_of, named, status, error):
    named(server_of(status))
    with pytest.raises(ConfigError, match=error):
        check_server()


def test_a_server_that_answers(server_of, named):
    named(server_of(200))
    check_server()


def test_no_address(named):
    named("prefect.example:4200")
    with pytest.raises(ConfigError, match="is not an http:// address"):
        check_server()


def test_nobody_is_asked_around_a_proxy_that_cannot_be_used(named, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:9")
    dropped = without_unusable_proxies()
    assert dropped == ["ALL_PROXY"]
    assert capsys.readouterr().err.startswith("note: ALL_PROXY: not used here")
    named("http://prefect.example:4200/api")
    with pytest.raises(ConfigError, match=r"^ALL_PROXY: Prefect's client cannot use this proxy"):
        check_server(dropped)
    named(DEAD)
    with pytest.raises(ServerUnreachable):  # asked, directly
        check_server(dropped)


def test_credentials_in_an_address_are_not_shown(named):
    named("http://user:hidden@127.0.0.1:9/api")
    with pytest.raises(ServerUnreachable) as caught:
        configured_server.check_server()
    assert "hidden" not in str(caught.value)
