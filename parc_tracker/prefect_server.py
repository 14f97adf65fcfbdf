"""Prefect's API server for one run: `python -m parc_tracker.prefect_server <parent pid>`.

Prints its address as soon as it has a port, then serves; ends when its parent ends, however that happens. Where the
user's settings (environment, profile) name a server, or forbid a temporary one, it prints an empty line and ends; where
they are not valid, what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
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
        named = bool(settings.api.url) or not settings.server.ephemeral.enabled
        if not named:
            check_database(settings)
    except ConfigError as error:
        print(REFUSAL, error, flush=True)
        return
    if named:
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


def check_database(settings: Any) -> None:
    """Refuses a data base of a newer Prefect, which this one cannot open; others are looked at by Prefect itself.

    Args:
        settings: Prefect's.

    Raises:
        ConfigError: naming the file.
    """
    url = settings.server.database.connection_url
    file = settings.home / "prefect.db"
    if (url is not None and not url.get_secret_value().endswith(f"/{file}")) or not file.is_file():
        return
    import prefect

    with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as base:
        try:
            found = base.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.Error:  # empty, or half made: Prefect makes the rest
            return
    known = Path(prefect.__file__).parent / "server/database/_migrations/versions/sqlite"
    if found is None or not known.is_dir():
        return
    wanted = re.compile(rf"^revision\b.*=\s*[\"']{re.escape(str(found[0]))}[\"']", re.MULTILINE)
    if any(wanted.search(each.read_text(encoding="utf-8")) for each in known.glob("*.py")):
        return
    raise ConfigError(
        f"{file} was made by another version of Prefect than {prefect.__version__}, which cannot open it; set "
        "PREFECT_HOME to another folder, or install the Prefect that made it"
    )


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
