"""Where the time of a control step goes."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, Callable, Dict

import torch


class Stopwatch:
    """Adds up the wall time of methods of objects; put on once, read after each stretch of work."""

    def __init__(self) -> None:
        self._seconds: Dict[str, float] = defaultdict(float)

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Times every later call of owner.method under `name`."""
        original: Callable[..., Any] = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self._seconds[name] += time.perf_counter() - begin

        setattr(owner, method, timed)

    def take(self) -> Dict[str, float]:
        """Seconds per name since the last call."""
        seconds = dict(self._seconds)
        self._seconds.clear()
        return seconds


def machine() -> Dict[str, Any]:
    """What a number depends on besides the code."""
    import os
    import platform

    import mujoco

    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "cpu": _cpu_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mujoco": mujoco.__version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else "unknown"
