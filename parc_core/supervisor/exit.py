"""How a trainer process ended, as an error that says what happened and whether another attempt is worth it."""

from __future__ import annotations

import contextlib
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from parc_core.errors import (
    EXIT_BAD_CONFIG,
    EXIT_BAD_DATA,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    ConfigError,
    DataError,
    Interrupted,
    ParcError,
)

_KILLED_PROCESS = re.compile(r"process \d+ of \d+ was killed by SIG[A-Z0-9]+$")
"""Last line of a trainer of several processes, of which one was killed."""
_OUT_OF_MEMORY = re.compile(r"MemoryError|bad_alloc|out of memory|Cannot allocate memory", re.IGNORECASE)


class TrainerCrashed(ParcError):
    """The trainer died or left with an unknown exit code. Worth another attempt."""

    retries = 1_000_000
    """How many attempts after this error are worth it, beside the limit of all."""


class TrainerHung(TrainerCrashed):
    """No heartbeat from the trainer for too long; it was terminated. Worth another attempt."""


class TrainerDiverged(TrainerCrashed):
    """Training diverged in spite of its own rollbacks. Once is worth another attempt."""

    retries = 1


class TrainerOutOfMemory(TrainerCrashed):
    """The machine had no memory left. Another program may have had it: once is worth another attempt."""

    retries = 1


@dataclass(frozen=True)
class ExitInfo:
    """What is known of a trainer process that is gone."""

    code: int
    """Exit code; negative: the signal."""
    message: str
    """The last thing it said."""
    kind: str
    """Python class of the error that it told of, or empty."""
    output: Path
    """File with all that it printed."""
    memory_kill: bool = False
    """Whether the kernel killed a process of this machine or container for want of memory meanwhile."""


def raise_for(end: ExitInfo) -> None:
    """Raises what an exit means; nothing for 0.

    Raises:
        Interrupted: 75.
        DataError, ConfigError: 65 or 78; the message is the trainer's own.
        TrainerCrashed: anything else, or one of its kinds where that is known.
    """
    code, message, output = end.code, end.message, end.output
    if code == EXIT_DONE:
        return
    if code == EXIT_INTERRUPTED:
        raise Interrupted("training was interrupted with a checkpoint")
    if code == EXIT_BAD_DATA:
        raise DataError(message or f"the trainer found bad data, see {output}")
    if code == EXIT_BAD_CONFIG:
        raise ConfigError(message or f"the trainer cannot use its configuration, see {output}")
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"left with code {code}"
    killed = code == -signal.SIGKILL or (is_killed_process(message) and message.endswith("SIGKILL"))
    said = f"{message or 'no message'} (its output: {output})"
    if end.kind == "TrainingDiverged":
        raise TrainerDiverged(f"the trainer gave up: {said}")
    if (killed and end.memory_kill) or _OUT_OF_MEMORY.search(f"{end.kind} {message}"):
        raise TrainerOutOfMemory(
            f"the trainer {how}: the machine ran out of memory; lower num_envs or give it more: {said}"
        )
    if killed:
        how += " (out of memory?)"
    raise TrainerCrashed(f"the trainer {how}: {said}")


def is_killed_process(line: str) -> bool:
    """Whether a line says that one of a trainer's processes was killed."""
    return _KILLED_PROCESS.match(line) is not None


def memory_kills() -> int:
    """How many processes of this container or machine the kernel has killed for want of memory; 0 if unknown."""
    for path, name in (
        (_own_group() / "memory.events", "oom_kill"),
        (Path("/sys/fs/cgroup/memory.events"), "oom_kill"),
        (Path("/sys/fs/cgroup/memory/memory.oom_control"), "oom_kill"),
        (Path("/proc/vmstat"), "oom_kill"),
    ):
        with contextlib.suppress(OSError):
            for line in path.read_text(encoding="ascii").splitlines():
                words = line.split()
                if words[:1] == [name]:
                    return int(words[1])
    return 0


def _own_group() -> Path:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, _, path = line.split(":", 2)
            if number == "0":
                return Path("/sys/fs/cgroup") / path.strip().lstrip("/")
    return Path("/sys/fs/cgroup")
