"""Where the time of a control step goes."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any, Callable, Dict, List, Tuple

import torch

from parc_core.engines.devices import check_device
from parc_core.errors import ConfigError


class Stopwatch:
    """Adds up the time of methods of objects; put on once, read after each stretch of work.

    On a GPU the time is that of the device between two events in the current stream, so that watching makes
    nothing wait; on the CPU it is wall time.
    """

    def __init__(self, device: torch.device = torch.device("cpu")) -> None:  # noqa: B008
        self._cuda = device.type == "cuda"
        self._device = device
        self._seconds: Dict[str, float] = defaultdict(float)
        self._events: List[Tuple[str, Any, Any]] = []

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Times every later call of owner.method under `name`."""
        setattr(owner, method, self.timed(getattr(owner, method), name))

    def timed(self, original: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function, timed under `name`."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = self._mark()
            try:
                return original(*args, **kwargs)
            finally:
                self._book(name, begin, self._mark())

        return timed

    def take(self) -> Dict[str, float]:
        """Seconds per name since the last call; waits for the device."""
        if self._cuda:
            torch.cuda.synchronize(self._device)
        for name, begin, end in self._events:
            self._seconds[name] += begin.elapsed_time(end) / 1000.0
        self._events.clear()
        seconds = dict(self._seconds)
        self._seconds.clear()
        return seconds

    def _mark(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _book(self, name: str, begin: Any, end: Any) -> None:
        if self._cuda:
            self._events.append((name, begin, end))
        else:
            self._seconds[name] += end - begin


def check_device_or_leave(device: str) -> None:
    """Ends the program with one line where PyTorch has no such device."""
    try:
        check_device(device, "--device")
    except ConfigError as error:
        raise SystemExit(f"error: {error}") from error


def machine() -> Dict[str, Any]:
    """What a number depends on besides the code."""
    import os
    import platform

    import mujoco

    here = {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "cpu": _cpu_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mujoco": mujoco.__version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    if torch.cuda.is_available():
        here.update(_gpu())
    return here


def _gpu() -> Dict[str, Any]:
    """Name, CUDA and Warp versions; the packages of the GPU engine need not be there."""
    from importlib import metadata

    versions = {}
    for package in ("warp-lang", "mujoco-warp"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"gpu": torch.cuda.get_device_name(0), "cuda": torch.version.cuda, **versions}


def machine_line(here: Dict[str, Any]) -> str:
    """The same in one line for the screen."""
    gpu = f"{here['gpu']} (CUDA {here['cuda']}), " if "gpu" in here else ""
    warp = f", Warp {here['warp-lang']}, MuJoCo Warp {here['mujoco-warp']}" if "warp-lang" in here else ""
    return (
        f"{gpu}{here['cores']} cores ({here['cpu']}), load {here['load']} before; Python {here['python']}, "
        f"torch {here['torch']}, MuJoCo {here['mujoco']}{warp}"
    )


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else "unknown"
