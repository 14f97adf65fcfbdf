"""Prefect's API server for one run: `python -m parc_tracker.prefect_server <parent pid>`.

Prints its address as soon as it has a port, then serves; ends when its parent ends, however that happens. Where the
user's settings (environment, profile) name a server, or forbid a temporary one, it prints an empty line and ends; where
they are not valid, what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterator

from parc_core.errors import ConfigError
from parc_core.system.locks import locked
from parc_tracker.configured_server import prefect_settings
from parc_tracker.embedded_server import REFUSAL

POLL_SECONDS = 0.5
STOP_TIMEOUT_S = 5.0
"""Seconds for an orderly end."""
LOCK = "parc-tracker-start.lock"
"""In Prefect's folder (PREFECT_HOME): held while a server of ours starts."""


def main() -> None:
    """Serves until SIGTERM, or until the parent is gone."""
    _end_with(int(sys.argv[1]))
    try:
        settings = prefect_settings()
    except ConfigError as error:
        print(REFUSAL, error, flush=True)
        return
    if settings.api.url or not settings.server.ephemeral.enabled:
        print(flush=True)
        return
    # As Prefect's own temporary server has it: no UI.
    os.environ.update(PREFECT_UI_ENABLED="0", PREFECT__SERVER_EPHEMERAL="1", PREFECT__SERVER_FINAL="1")
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/api", flush=True)
    os.dup2(2, 1)  # nobody reads our output from here on
    import uvicorn
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        """One start at a time: the first one makes the database, and SQLite has others wait for seconds only."""

        async def startup(self, sockets: Any = None) -> None:
            with _only_start(settings.home):
                await super().startup(sockets)

    config = uvicorn.Config(create_app(), log_level="error", lifespan="on")
    Server(config).run(sockets=[listener])


@contextlib.contextmanager
def _only_start(home: Path) -> Iterator[None]:
    """Holds the lock of Prefect's folder; the kernel drops it where this process dies."""
    home.mkdir(parents=True, exist_ok=True)
    with locked(open(home / LOCK, "a", encoding="utf-8")):
        yield


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent.

    A thread polls, instead of the kernel's PR_SET_PDEATHSIG: that one follows the parent's *thread* that started us.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_TIMEOUT_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    main()
