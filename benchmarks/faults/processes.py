"""Processes of a training, found by their command lines (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Dict, List


def trainers(scratch: Path) -> List[int]:
    """Process ids of trainers below the folder `scratch`, the newest last."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it may end while we look
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"parc_core.train" in words and any(os.fsencode(scratch) in word for word in words):
                found.append(int(entry.name))
    return sorted(found)


def is_rank(pid: int) -> bool:
    """Whether a trainer is one of several that a launcher has started."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.startswith(b"RANK=") for word in words)


def of_hosts(folder: Path) -> Dict[int, List[str]]:
    """Command lines of the processes whose work folder (`PARC_WORK`) is below `folder`, by process id."""
    found = {}
    mark = b"PARC_WORK=" + os.fsencode(folder) + b"/"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it may end while we look, or belong to somebody else
            words = (entry / "environ").read_bytes().split(b"\0")
            if any(word.startswith(mark) for word in words):
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
                found[int(entry.name)] = line.rstrip("\0").split("\0")
    return found


def send(pid: int, number: int) -> bool:
    """Sends a signal; False where the process has gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def end_all(pids: List[int], timeout: float = 5.0) -> None:
    """SIGKILL to all of them; waits until they are gone.

    Raises:
        TimeoutError: one is still there after `timeout` s.
    """
    for pid in pids:
        send(pid, signal.SIGKILL)
    deadline = time.monotonic() + timeout
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {pids} did not end")
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
