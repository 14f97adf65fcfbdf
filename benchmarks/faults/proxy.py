"""A TCP proxy on loopback that can be made slow: what a bad network does to a store."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Optional, Tuple

_BLOCK = 16384


class SlowProxy:
    """Passes connections on to `target`; `slow` sets the delay and the rate of everything that passes.

    Attributes:
        port: where it listens, on 127.0.0.1.
        refused: connections that found no target.
        delayed: blocks that had to wait.
    """

    def __init__(self, target: Tuple[str, int]) -> None:
        self._target = target
        self._delay, self._rate = 0.0, float("inf")
        self.refused = self.delayed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def slow(self, delay: float = 0.0, rate: float = float("inf")) -> None:
        """From now on each block waits `delay` s and passes at `rate` bytes/s; without arguments: at full speed."""
        self._delay, self._rate = delay, rate

    def close(self) -> None:
        """Takes no new connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = self._connect()
            if server is None:  # the store is down: the client sees a reset
                self.refused += 1
                client.close()
                continue
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _connect(self) -> Optional[socket.socket]:
        try:
            return socket.create_connection(self._target, timeout=5)
        except OSError:
            return None

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either end may go at any time; both are closed below
            while data := source.recv(_BLOCK):
                pause = self._delay + len(data) / self._rate
                if pause > 0:
                    self.delayed += 1
                    time.sleep(pause)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
