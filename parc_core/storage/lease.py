"""One worker at a time on what several may be asked for: a lease, kept as a small JSON file in the store.

Its holder renews it; whoever wants it and sees no renewal for a while takes it over. No clocks of different machines
are compared: a waiting worker measures with its own how long the file has stayed the same.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from parc_core.errors import ParcError
from parc_core.storage.store import Store
from parc_core.system import json_text
from parc_core.system.files import dump_json


class LeaseLost(ParcError):
    """Somebody else took the lease, because ours was not renewed in time. Worth another attempt."""


@dataclass(frozen=True)
class LeaseTimes:
    """In seconds."""

    renew: float = 20.0
    expire: float = 90.0
    """Without a renewal for this long the holder counts as dead."""
    poll: float = 5.0
    """Between two polls of one who waits."""


class Lease:
    """`with Lease(store, key) as lease:` holds the lease, after waiting for whoever has it.

    In a store without conditional writes (`Store.conditional` is False) two can take it in the same moment.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        note: Callable[[str], None] = lambda line: None,
        check: Callable[[], None] = lambda: None,
        times: LeaseTimes = LeaseTimes(),
    ) -> None:
        """Nothing is written yet.

        Args:
            store: where the lease lies.
            key: of its file.
            note: gets one line when there is somebody to wait for, and when renewing fails.
            check: called now and then while waiting; what it raises ends the waiting.
            times: of renewal and expiry.
        """
        self._store, self._key, self._note, self._check, self._times = store, key, note, check, times
        self._me = _Holder.here()
        self._token = uuid.uuid4().hex
        self._version: Any = None
        self._count = 0
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self.waited = False
        """Whether somebody else held it first."""
        self.lost = False
        """Whether somebody else took it over; see `still_held`."""

    def __enter__(self) -> Lease:
        self._acquire()
        self._thread = threading.Thread(target=self._renew_for_ever, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        if not self.lost:
            try:
                self._write({**self._content(), "holder": None})
            except ParcError as error:
                self._note(f"the lease {self._key} is left to expire: {error}")

    def still_held(self) -> None:
        """Raises `LeaseLost` once somebody else has taken it over."""
        if self.lost:
            raise LeaseLost(
                f"another worker took over {self._key}, as this one was not heard of for too long"
            )

    def _acquire(self) -> None:
        seen: Optional[bytes] = None
        since = time.monotonic()
        while True:
            self._check()
            found = self._store.read_versioned(self._key)
            if found is None:
                if self._store.create(self._key, self._bytes()) and self._owned():
                    return
                continue
            data, version = found
            if data != seen:
                seen, since = data, time.monotonic()
            holder = _Holder.read(data)
            silent = time.monotonic() - since
            if holder is None or holder.is_dead_here(self._me) or silent > self._times.expire:
                self._version = version
                if self._write(self._content()):
                    return
                continue
            if not self.waited:
                self._note(f"waiting for {holder.name}, which is at the same work")
            self.waited = True
            self._sleep()

    def _sleep(self) -> None:
        end = time.monotonic() + self._times.poll
        while time.monotonic() < end:
            self._check()
            time.sleep(min(0.2, self._times.poll))

    def _owned(self) -> bool:
        found = self._store.read_versioned(self._key)
        if found is None or _token(found[0]) != self._token:
            return False
        self._version = found[1]
        return True

    def _write(self, content: Dict[str, Any]) -> bool:
        """Replaces what `_version` means; whether it was still that."""
        data = dump_json(content).encode("utf-8")
        return self._store.replace(self._key, data, self._version) and self._owned()

    def _content(self) -> Dict[str, Any]:
        self._count += 1
        return {"holder": self._me.__dict__, "token": self._token, "renewed": self._count}

    def _bytes(self) -> bytes:
        return dump_json(self._content()).encode("utf-8")

    def _renew_for_ever(self) -> None:
        while not self._stop.wait(self._times.renew):
            try:
                if not self._write(self._content()) and not self._owned():
                    self.lost = True
                    return
            except (ParcError, OSError) as error:
                # Work goes on while the store is away; who took the lease meanwhile is seen when it is back.
                self._note(f"the lease {self._key} could not be renewed: {error}")


@dataclass(frozen=True)
class _Holder:
    """A process, named so that another on the same machine can see whether it still runs."""

    name: str
    machine: str
    pid: int
    started: str

    @staticmethod
    def here() -> _Holder:
        pid = os.getpid()
        return _Holder(f"{socket.gethostname()} (process {pid})", _machine(), pid, _start_of(pid) or "")

    @staticmethod
    def read(data: bytes) -> Optional[_Holder]:
        """The holder that a lease names; None where it is free or no lease."""
        try:
            holder = json_text.parse(data)["holder"]
            return None if holder is None else _Holder(**holder)
        except (ValueError, KeyError, TypeError):
            return None

    def is_dead_here(self, me: _Holder) -> bool:
        """Whether it ran on this machine and runs no more; False where that cannot be said."""
        if not self.machine or self.machine != me.machine or not isinstance(self.pid, int):
            return False
        return _start_of(self.pid) != self.started


def _token(data: bytes) -> Optional[str]:
    try:
        content: Any = json_text.parse(data)
    except ValueError:
        return None
    return content.get("token") if isinstance(content, dict) else None


def _machine() -> str:
    """Of this boot and, in a container, of its own process numbers; empty where that cannot be said."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_of(pid: int) -> Optional[str]:
    """When a process of this machine started, in clock ticks since boot; None where it is gone."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if fields[0] in ("Z", "X") else fields[19]
    return None
