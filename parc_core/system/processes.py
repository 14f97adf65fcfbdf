"""Map a function over many files with worker processes."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Callable, Iterator, List, Optional, Sequence, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MIN_FILES_FOR_WORKERS = 256
"""Below this many files the start of processes (about a second) costs more than it saves."""


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has under taskset or a batch scheduler."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_files(call: Callable[[T], R], items: Sequence[T], workers: Optional[int] = None) -> Iterator[R]:
    """Yield `call(item)` in the order of `items`.

    Args:
        call: a module-level function (it is sent to processes by name).
        items: what to call it with.
        workers: number of processes, 1 = this one; by default one per core where there are many items.
    """
    todo: List[T] = list(items)
    if workers is None:
        workers = usable_cores() if len(todo) >= MIN_FILES_FOR_WORKERS else 1
    workers = min(workers, len(todo))
    if workers <= 1:
        yield from map(call, todo)
        return
    chunk = max(1, min(64, len(todo) // (4 * workers)))
    # spawn, not fork: a fork of a process with threads (Prefect, torch, CUDA) can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(call, todo, chunksize=chunk)
