"""A real Prefect server and workers as processes, on loopback and in folders of their own; ended by process id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from parc_core.config.paths import PROJECT_ROOT

START_LIMIT = 90.0  # s; migrations take 15 s on two cores
END_LIMIT = 30.0  # s
BUSY_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before the next try on 503: SQLite is busy; Prefect's own client tries five times again, too."""


def wait_for(what: str, found: Callable[[], Any], limit: float, every: float = 0.5) -> Any:
    """What `found` returns as soon as that is true.

    Raises:
        TimeoutError: not within `limit` seconds.
    """
    end = time.monotonic() + limit
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {limit:.0f} s")
        time.sleep(every)


def end(process: subprocess.Popen[bytes], first: int = signal.SIGTERM) -> None:
    """Ends a process with all of its group, and waits."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, first)
    try:
        process.wait(END_LIMIT)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Server:
    """A server under way."""

    def __init__(self, port: int, home: Path, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.home = home
        self._port, self._log = port, log
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=f"{self.url}/api", timeout=30)

    def start(self) -> None:
        """Starts it (again), on its port and database, and waits until it answers."""
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
        command += ["--port", str(self._port)]
        env = {**os.environ, **self.environment()}
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)
        wait_for("Prefect server", lambda: _answers(self), START_LIMIT)

    def kill(self) -> None:
        """SIGKILL; `start` goes on with the database."""
        if self._process is not None:
            end(self._process, signal.SIGKILL)

    def stop(self) -> None:
        """Ends it for good."""
        self.http.close()
        if self._process is not None:
            end(self._process)

    def environment(self) -> dict[str, str]:
        """Variables of a client of this server."""
        return {
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_HOME": str(self.home),
            "PREFECT_PROFILES_PATH": str(self.home / "profiles.toml"),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "OMP_NUM_THREADS": "1",
        }

    def deploy(self, config: Path, *options: str, **variables: str) -> str:
        """`parc-tracker deploy`, its output."""
        command = [sys.executable, "-m", "parc_tracker.main", "deploy", "--config", str(config), *options]
        env = {**os.environ, **self.environment(), "COLUMNS": "200", **variables}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, cwd=PROJECT_ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment as the server has it."""
        return self.http.get(f"/deployments/name/parc/{name}").raise_for_status().json()

    def start_run(self, name: str, **parameters: Any) -> str:
        """Asks for a run, as the form does: groups of the form with the values that differ. Its id."""
        deployment = self.deployment(name)
        values = {
            group: {**deployment["parameters"][group], **changes} for group, changes in parameters.items()
        }
        request = {"parameters": {**deployment["parameters"], **values}, "state": {"type": "SCHEDULED"}}
        for wait in (*BUSY_WAITS, 0.0):
            answer = self.http.post(f"/deployments/{deployment['id']}/create_flow_run", json=request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(wait)
        return answer.raise_for_status().json()["id"]

    def run(self, id: str) -> dict[str, Any]:
        """A run as the server has it."""
        return self.http.get(f"/flow_runs/{id}").raise_for_status().json()

    def states(self, id: str) -> list[str]:
        """Names of a run's states, oldest first."""
        found = self.http.get("/flow_run_states/", params={"flow_run_id": id}).raise_for_status().json()
        return [state["name"] for state in sorted(found, key=lambda state: state["timestamp"])]

    def wait(self, id: str, *names: str, limit: float = 180) -> dict[str, Any]:
        """The run, when it has one of these states."""
        return wait_for(
            f"run {id}: {names}",
            lambda: run if (run := self.run(id))["state"]["name"] in names else None,
            limit,
        )

    @contextlib.contextmanager
    def worker(self, folder: Path, *command: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of the pool `parc` whose home, temporary files and work are in `folder`: a host of its own.

        Args:
            folder: its home.
            command: what follows `python -m`; by default Prefect's worker.
            variables: of its environment.
        """
        for name in ("home", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        env = {
            **os.environ,
            **self.environment(),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),
            "PYTHONPATH": str(PROJECT_ROOT),
            **variables,
        }
        command = command or ("prefect", "worker", "start", "--pool", "parc")
        with open(folder / "worker.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdout=log,
                stderr=log,
                env=env,
                cwd=folder,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            end(process)


def free_port() -> int:
    """One of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """A server on a free port of loopback; its database and log are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Server(free_port(), folder / "prefect", folder / "server.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _answers(server: Server) -> bool:
    try:
        return server.http.get("/health").status_code == 200
    except httpx.TransportError:
        return False
