"""What every process of ours does first: its surroundings must not break what they have nothing to do with."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from typing import Iterator

from parc_core.system.proxies import loopback_goes_direct


def set_up_process() -> None:
    """This machine's own servers are asked without a proxy, and no character breaks the output."""
    loopback_goes_direct()
    for stream in (sys.stdout, sys.stderr):
        # ASCII, Latin-1 and other terminals get a "?" for what they cannot show.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def only_errors() -> Iterator[None]:
    """Within `with`, this process prints errors alone: another one says the rest."""
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield
