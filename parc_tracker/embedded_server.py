"""Prefect's server for a run on the command line, started while this process still imports.

Prefect would start one by itself at the first call, seconds after all imports (5 s and more on two busy cores), and
leave it behind when this process is killed. `start` begins at once; `use` names the server to Prefect, `wait` returns
once it answers.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import subprocess
import sys
from urllib.parse import urlsplit

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError, ParcError
from tasks.credentials import PREFECT_DEFAULTS

START_TIMEOUT_S = 180.0
"""Seconds until it answers: the first start makes its data base, and another one that does is waited for."""
STOP_TIMEOUT_S = 5.0
REFUSAL = "refused:"
"""Begins the server's line where it says why it does not start, instead of its address."""


class EmbeddedServer:
    """A server that lives as long as this process; none where the user's settings name one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._address = ""

    def start(self) -> None:
        """Starts it; call it before Prefect is imported."""
        if os.environ.get("PREFECT_API_URL") or "prefect" in sys.modules:
            return  # Prefect has read its settings: it starts its own where it needs one
        paths = [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "parc_tracker.prefect_server", str(os.getpid())],
            env={**PREFECT_DEFAULTS, **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: the run still tells the server how it ended
        )
        # Before Prefect's own, so after them: they send the last events and lines.
        atexit.register(self.stop)

    def use(self) -> None:
        """Names the server to Prefect, which has to be imported after this.

        Raises:
            ConfigError: Prefect's settings are not valid.
            ParcError: it did not start.
        """
        if self._process is None:
            return
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise _failed(self._process.wait())
        kind, _, message = line.strip().partition(" ")
        if kind == REFUSAL:
            self._process.wait()
            raise ConfigError(message)
        self._address = kind
        if self._address:
            os.environ["PREFECT_API_URL"] = self._address

    @property
    def is_ours(self) -> bool:
        """Whether Prefect was told of a server of ours."""
        return bool(self._address)

    def wait(self) -> bool:
        """Returns once the server answers; False where there is none of ours.

        Raises:
            ParcError: it ended, or did not answer in time.
        """
        if self._process is None or not self.is_ours:
            return False
        connection = http.client.HTTPConnection(urlsplit(self._address).netloc, timeout=START_TIMEOUT_S)
        try:
            connection.request("GET", "/api/health")  # the port is open already: this waits for the server
            if connection.getresponse().status == 200:
                return True
        except (OSError, http.client.HTTPException):  # told below
            pass
        finally:
            connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        raise _failed(self._process.poll())

    def stop(self) -> None:
        """Ends it; it has seconds to write what it still has."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _failed(code: int | None) -> ParcError:
    how = f"did not answer within {START_TIMEOUT_S:.0f} s" if code is None else f"ended with {code}"
    return ParcError(
        f"Prefect's embedded server {how}; see its output above, or run `prefect server start` and set PREFECT_API_URL"
    )
