"""Signs of life between the processes of one training: when one is gone or stuck, all end within half a minute.

A collective waits for its last process for as long as it takes: on a GPU nothing else would ever tell that it has died.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional

from parc_core.errors import EXIT_CRASH, Interrupted
from parc_core.system.environment_numbers import whole
from parc_core.system.world import World

QUIET_SECONDS = 20.0
"""For which a process may give no sign of life, or make no step, before the others give it up."""
POLL_SECONDS = 0.5
WITHOUT_STORE_SECONDS = 15.0
"""For an orderly end after torchrun, which keeps the signs, has died: its processes were then told to stop."""
FIRST_STEPS_SECONDS = 300.0
"""For each step of the first phase of steps, which shows how long they take."""
SLOW_FACTOR = 10.0  # so many times the longest step before may a step take

Lost = Callable[[str], None]


class Peers:
    """Within `with`, a thread that says how this process fares and looks how the others do.

    It ends this process with `os._exit`, for the main thread may wait for a dead process where no exception reaches it.
    """

    def __init__(self, world: World, lost: Lost = lambda why: None, quiet: float = QUIET_SECONDS) -> None:
        """Args:
        world: joined already.
        lost: gets one line that says which process is gone, just before this one ends.
        quiet: see `QUIET_SECONDS`.
        """
        self._world, self._lost, self._quiet = world, lost, quiet
        self._sign: Dict[str, Any] = {
            "pid": os.getpid(),
            "host": _host(),
            "count": 0,
            "still": 0.0,
        }
        self._heard: Dict[int, Any] = {}  # other process: (its count, when it was new here)
        self._moved: Optional[float] = None  # None: not in a phase of steps
        self._longest = 0.0  # s, of the steps so far
        self._measured = False  # a phase of steps is over
        self._store: Any = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peers", daemon=True)

    def __enter__(self) -> Peers:
        if self._world.size > 1:
            self._store = _store()
            self._tell()
            self._world.any(False)  # from here on every process has told
            self._thread.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Tells the others that this process leaves: in order, or with the exit code of its error."""
        if self._world.size == 1:
            return
        self._over.set()
        self._thread.join()
        if error is None or isinstance(error, Interrupted):  # on which they have agreed
            self._sign["left"] = True
        else:
            self._sign["failed"] = getattr(error, "exit_code", EXIT_CRASH)
            # The others end as soon as they hear of it, and torchrun then ends who is left: not before it has said why.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.suppress(RuntimeError):  # torchrun is gone, and nobody to be told
            self._tell()
            if "failed" in self._sign:
                time.sleep(3.0 * POLL_SECONDS)  # the store may end with this process

    @contextlib.contextmanager
    def stepping(self) -> Iterator[None]:
        """Within `with`, `moved` is called at every step: a process that does not is stuck.

        The processes enter it together, and a step that waits for another process is none.
        """
        self._moved = time.monotonic()
        try:
            yield
        finally:
            self._moved, self._measured = None, True

    def moved(self) -> None:
        """A step was made."""
        if self._moved is not None:
            now = time.monotonic()
            self._longest = max(self._longest, now - self._moved)
            self._moved = now

    # -- the thread ----------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            try:
                self._tell()
                others = {r: json.loads(self._store.get(str(r))) for r in self._others()}
            except RuntimeError:
                self._without_store()
                return
            for rank, sign in others.items():
                self._look(rank, sign)

    def _others(self) -> Iterator[int]:
        return (rank for rank in range(self._world.size) if rank != self._world.rank)

    def _tell(self) -> None:
        moved = self._moved
        self._sign["count"] += 1
        self._sign["still"] = 0.0 if moved is None else time.monotonic() - moved
        self._sign["allowed"] = self._allowed()
        self._store.set(str(self._world.rank), json.dumps(self._sign))

    def _allowed(self) -> float:
        """Seconds that a step of this process may take."""
        if not self._measured:
            return FIRST_STEPS_SECONDS
        return max(self._quiet, SLOW_FACTOR * self._longest)

    def _look(self, rank: int, sign: Dict[str, Any]) -> None:
        """Ends this process where process `rank`, whose last sign this is, cannot go on."""
        now, who = time.monotonic(), f"process {rank} of {self._world.size}"
        if "left" in sign:
            return
        if "failed" in sign:  # and has said itself why
            os._exit(int(sign["failed"]))
        count, since = self._heard.get(rank, (None, now))
        if count != sign["count"]:
            self._heard[rank] = (sign["count"], now)
        elif now - since > self._quiet:
            if sign["host"] == self._sign["host"]:  # stopped, perhaps: torchrun alone would wait for it
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(sign["pid"]), signal.SIGKILL)
            self._end(f"{who} has given no sign of life for {now - since:.0f} s")
        if sign["still"] > sign["allowed"]:
            self._end(f"{who} is stuck: it has made no step for {sign['still']:.0f} s")

    def _without_store(self) -> None:
        """torchrun has died: the main thread may still end in order."""
        if not self._over.wait(WITHOUT_STORE_SECONDS):
            self._end("torchrun, which started the processes, has died")

    def _end(self, why: str) -> None:
        self._lost(f"{why}; all processes end, and training resumes from the last checkpoint")
        os._exit(EXIT_CRASH)


def _host() -> str:
    """Where this process's number means this process: two containers may have the same name."""
    found = [socket.gethostname()]
    with contextlib.suppress(OSError):  # elsewhere than on Linux the name has to do
        found += [
            os.readlink("/proc/self/ns/pid"),
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        ]
    return " ".join(found)


def _store() -> Any:
    """A connection of its own to the store through which the processes found each other."""
    from datetime import timedelta

    import torch.distributed as dist

    port = whole("MASTER_PORT", 0, 0, 65535, "a port")
    store = dist.TCPStore(
        os.environ["MASTER_ADDR"],
        port,
        is_master=False,
        wait_for_workers=False,
        timeout=timedelta(seconds=60),
    )
    start = f"{os.environ.get('TORCHELASTIC_RUN_ID', '')}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '')}"
    return dist.PrefixStore(f"parc-peers/{start}", store)
