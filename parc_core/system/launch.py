"""Starts the processes of one training on this machine, with torchrun's own agent in this process."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from typing import Dict, Mapping, Sequence

from parc_core.errors import EXIT_BAD_CONFIG, EXIT_BAD_DATA, EXIT_CRASH, EXIT_DONE, EXIT_INTERRUPTED
from parc_core.system.processes import usable_cores

STOP_SECONDS = 600
"""From a signal to torchrun's SIGKILL, for an iteration to be finished: whoever stops the launcher may wait less."""

_KNOWN = (EXIT_BAD_DATA, EXIT_INTERRUPTED, EXIT_BAD_CONFIG)
_OF_PROCESS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_OF_TORCHRUN = ("GROUP_", "ROLE_", "TORCHELASTIC_", "PET_")


def is_launched() -> bool:
    """Whether this process is one of several that torchrun started."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def not_launched(environment: Mapping[str, str]) -> Dict[str, str]:
    """An environment without what says that a process is one of several: clusters and notebooks set it for others."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _OF_PROCESS and not name.startswith(_OF_TORCHRUN)
    }


def launch(module: str, arguments: Sequence[str], processes: int) -> int:
    """Runs `processes` of `python -m module arguments` to their end, as `torchrun --standalone` does.

    SIGTERM and SIGINT are passed on to them, and they are waited for.

    Returns:
        The exit code that they agree on, 70 if one of them crashed; 128 + the number of a signal that ended this.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // processes)))
    os.environ.setdefault(
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(STOP_SECONDS)
    )  # older versions of PyTorch: 30 s
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # no backtraces where another process is gone
    how = ["--standalone", "--nnodes", "1", "--max-restarts", "0", "--nproc-per-node", str(processes)]
    try:
        # torchrun would leave its own folder behind for each training.
        with tempfile.TemporaryDirectory(prefix="parc-launch-") as logs:
            torchrun([*how, "--log_dir", logs, "-m", module, *arguments])
    except ChildFailedError as error:
        return _exit_code(error, processes)
    except SignalException as stop:
        return 128 + int(stop.sigval)
    return EXIT_DONE


def _exit_code(error, processes: int) -> int:
    """The first failure's: the others follow from it."""
    codes = {rank: int(failure.exitcode) for rank, failure in error.failures.items()}
    known = [code for code in codes.values() if code in _KNOWN]
    if known:
        return known[0]
    killed = {rank: -code for rank, code in codes.items() if code < 0}
    ours = {
        rank: number for rank, number in killed.items() if number != signal.SIGTERM
    }  # torchrun's own way to end them
    for rank, number in list((ours or killed).items())[:1]:
        name = signal.Signals(number).name
        print(f"error: process {rank} of {processes} was killed by {name}", file=sys.stderr, flush=True)
    return EXIT_CRASH
