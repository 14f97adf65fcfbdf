"""Becomes another program that gets SIGTERM when its parent dies, however it dies.

More exactly, when the parent's thread that started it ends: who starts it from a short-lived thread loses it early.

Run as a file, `python die_with_parent.py <parent pid> <program> [arguments]`: a preexec_fn would run Python
between fork and exec, which is not safe in a process with threads. Linux alone has the signal; elsewhere the
program simply starts.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """From here on this process gets SIGTERM when its parent dies; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    die_with_parent()
    if sys.platform == "linux" and os.getppid() != parent:  # it died before the line above
        sys.exit(75)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(
            f"cannot start {command[0]!r}: {error.strerror}; set trainer_python to a Python", file=sys.stderr
        )
        sys.exit(78)


if __name__ == "__main__":
    main()
