"""Runs SeaweedFS and clears up after it: `python object_guard.py <die_with_parent.py> <sockets> <command …>`.

SeaweedFS makes Unix sockets in /tmp, whatever TMPDIR says, and leaves them there. This process ends it (SIGKILL, as a
machine dies) and removes them at SIGTERM, which it also gets when who started it dies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import NoReturn


def main() -> int:
    """Returns SeaweedFS's exit code."""
    signal.signal(signal.SIGTERM, _leave)
    shim, sockets, command = sys.argv[1], sys.argv[2].split(os.pathsep), sys.argv[3:]
    process = subprocess.Popen([sys.executable, shim, str(os.getpid()), *command])
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
        for socket in sockets:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(socket)


def _leave(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a killed parent with several threads sends one for each
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
