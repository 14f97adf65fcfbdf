"""What every process of ours does first: its surroundings must not break what they have nothing to do with."""

from __future__ import annotations

import io
import sys

from parc_core.system.proxies import loopback_goes_direct


def set_up_process() -> None:
    """This machine's own servers are asked without a proxy, and no character breaks the output."""
    loopback_goes_direct()
    for stream in (sys.stdout, sys.stderr):
        # ASCII, Latin-1 and other terminals get a "?" for what they cannot show.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")
