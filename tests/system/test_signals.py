"""Signals that end a training after its iteration."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from parc_core.system.signals import StopSignals, exit_interrupted, raising

PROGRAM = """
import os, signal, sys
from parc_core.system import signals as stop
stop.SAME_REQUEST_SECONDS = float(sys.argv[1])
with stop.StopSignals() as signals:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    sys.exit(75 if signals.number == signal.SIGTERM else 1)
"""


def run(same_request_seconds: float) -> int:
    program = textwrap.dedent(PROGRAM)
    return subprocess.run([sys.executable, "-c", program, str(same_request_seconds)], check=False).returncode


def test_the_first_signal_is_noted_and_the_handler_goes_with_the_block():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        assert signals.number is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_signals_in_quick_succession_are_one_request():
    assert run(60.0) == 75


def test_a_later_signal_acts_at_once():
    assert run(-1.0) == -signal.SIGTERM


def test_signals_become_an_exception_and_the_handler_goes_with_the_block():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyError, match="15"), raising(KeyError, [signal.SIGTERM]):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    with pytest.raises(SystemExit) as caught, exit_interrupted():
        os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.code == 75


def test_another_thread_leaves_signals_alone():
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def look() -> None:
        with exit_interrupted():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
