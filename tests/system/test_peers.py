"""What one of several processes does about another that is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from parc_core.system.peers import Peers
from parc_core.system.world import World


class Ended(Exception):
    pass


def test_a_container_of_the_same_name_is_another_machine(monkeypatch):
    """The number of a silent process there may be that of an innocent one here."""
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        peers = Peers(World(0, 2), quiet=0.01)

        def end(code):
            raise Ended(code)

        monkeypatch.setattr(os, "_exit", end)
        sign = {"pid": innocent.pid, "host": socket.gethostname(), "count": 1, "still": 0.0, "allowed": 9.0}
        peers._look(1, sign)
        time.sleep(0.05)
        with pytest.raises(Ended):
            peers._look(1, sign)
        time.sleep(0.2)
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()
