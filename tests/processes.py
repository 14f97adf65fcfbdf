"""Runs a Python module as the processes of one training, without torchrun."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import List, Sequence

from parc_core.config.paths import PROJECT_ROOT


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def start(module: str, arguments: Sequence[object], size: int, **options: object) -> List[subprocess.Popen]:
    """`size` processes of `python -m module arguments`, in the order of their ranks."""
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    env = {**os.environ, **common, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return [
        subprocess.Popen(command, env={**env, "RANK": str(rank)}, **options)  # type: ignore[call-overload]
        for rank in range(size)
    ]


def codes(members: Sequence[subprocess.Popen], timeout: float = 120.0) -> List[int]:
    """The exit codes of all, which are killed after `timeout` s."""
    try:
        return [member.wait(timeout=timeout) for member in members]
    finally:
        for member in members:
            member.kill()
            member.wait()
