"""`parc-tracker worker`: Prefect workers for trainings and checks, and an end that costs no checkpoint.

A Prefect worker that is stopped kills its flows at once, and a shell's background job does not even heed SIGTERM.
Here the workers are processes of ours: on SIGTERM they are frozen, so that nothing new starts, their flows get SIGTERM
and stop their trainers, and the workers end last.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from parc_core.errors import EXIT_DONE, ConfigError
from parc_core.system import die_with_parent
from parc_core.system.signals import handled

STOP_SECONDS = 45.0
"""For flows and trainers; a flow needs at most 18 s for its trainer and 8 s for the last upload."""
END_SECONDS = 10.0
"""For the workers themselves, after that. The sum is less than the unit's TimeoutStopSec."""
POLL_SECONDS = 0.2


def run_workers(pool: str, limit: int | None, name: str | None, devices: str | None = None) -> int:
    """Works for a pool until SIGTERM or Ctrl-C; its exit code.

    Args:
        pool: the work pool that `parc-tracker deploy` made.
        limit: trainings at once, which all see what this worker sees; 1 by default.
        name: of the worker in the UI.
        devices: GPUs to hand out, instead of a limit: each training gets as many as its form asks for.

    Raises:
        ConfigError: the system has no /proc, no Prefect server is set, devices that are none, devices and a limit.
    """
    from deployments.settings import CHECK_QUEUE, QUEUE
    from parc_tracker.gpu_worker import parse_gpus

    if devices is not None and limit is not None:
        raise ConfigError("--limit counts trainings, --devices hands out GPUs: give one of them")
    gpus = None if devices is None else parse_gpus(devices)
    _check_possible()
    queues = ((QUEUE, gpus or limit or 1, ""), (CHECK_QUEUE, 1, "-check"))
    stop: list[int] = []  # more than the first change nothing: what stops is frozen in between
    with handled(lambda number, _frame: stop.append(number)):
        workers = [_start(pool, queue, most, name and name + end) for queue, most, end in queues]
        try:
            while not stop and all(worker.poll() is None for worker in workers):
                time.sleep(POLL_SECONDS)
        finally:
            codes = [worker.poll() for worker in workers]
            _end(workers)
    return EXIT_DONE if stop else next(code for code in codes if code is not None) or 1


def _check_possible() -> None:
    from prefect.settings import get_current_settings

    if not Path("/proc/self/stat").exists():
        raise ConfigError("parc-tracker worker needs Linux; elsewhere: prefect worker start --pool POOL")
    if get_current_settings().api.url is None:
        raise ConfigError("no Prefect server is set; set PREFECT_API_URL=http://127.0.0.1:4200/api")


def _start(pool: str, queue: str, most: int | Sequence[str], name: str | None) -> subprocess.Popen[bytes]:
    """A Prefect worker for one queue, with a limit of runs or GPUs to hand out."""
    program, limit = ["parc_tracker.gpu_worker"], []
    if isinstance(most, int):
        program, limit = ["prefect"], ["--limit", str(most)]
    else:
        program.append(",".join(most))
    command = [sys.executable, "-m", *program, "worker", "start", "--pool", pool, "--work-queue", queue]
    command += [*limit, *(["--name", name] if name else [])]
    shim = [sys.executable, str(die_with_parent.__file__), str(os.getpid())]
    return subprocess.Popen([*shim, *command], stdin=subprocess.DEVNULL, start_new_session=True)


def _end(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Flows first, with their trainers, then the workers."""
    alive = [worker.pid for worker in workers if worker.poll() is None]
    _send(alive, signal.SIGSTOP)
    flows = children(alive)
    family = descendants(flows)
    if flows:
        print(f"stopping {len(flows)} runs; trainings write a checkpoint", flush=True)
    _send(flows, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while (left := running(family)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    _send(left, signal.SIGKILL)
    _send(alive, signal.SIGTERM)
    _send(alive, signal.SIGCONT)
    for worker in workers:
        try:
            worker.wait(END_SECONDS / len(workers))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def _send(processes: Iterable[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def children(parents: Iterable[int]) -> list[int]:
    """Processes that these have started."""
    wanted = set(parents)
    return [process for process, (parent, _) in _processes().items() if parent in wanted]


def descendants(roots: Sequence[int]) -> list[int]:
    """These processes and all that they have started, trainers in sessions of their own included."""
    found, family = list(roots), list(roots)
    while family := children(family):
        found += family
    return found


def running(processes: Iterable[int]) -> list[int]:
    """Those that have not ended; one that waits for its frozen worker to take note has."""
    there = _processes()
    return [process for process in processes if process in there and there[process][1] != "Z"]


def _processes() -> dict[int, tuple[int, str]]:
    """Parent and state of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended while we looked
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            found[int(path.parent.name)] = (int(parent), state)
    return found
