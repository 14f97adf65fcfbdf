"""One training on a GPU at a time: a lock file per device."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, Callable, Iterator, List

from parc_core.errors import ConfigError
from parc_core.system.locks import locked


@contextlib.contextmanager
def device_lock(
    device: str,
    note: Callable[[str], None] = lambda line: None,
    check: Callable[[], None] = lambda: None,
    poll: float = 1.0,
) -> Iterator[List[int]]:
    """Holds a GPU of this machine; waits, saying so, while another training has it. A CPU needs no lock.

    Args:
        device: `cpu`, `cuda` or `cuda:<number>`.
        note: gets one line when there is somebody to wait for.
        check: called while waiting; what it raises ends the waiting.
        poll: seconds between two attempts.

    Yields:
        Descriptors to hand on to the trainer, so that the GPU stays taken while one that lost its parent ends.

    Raises:
        ConfigError: the lock file cannot be opened.
    """
    if not device.startswith("cuda"):
        yield []
        return
    path = lock_file(device)
    said = False

    def waiting(_seconds: float) -> None:
        nonlocal said
        if not said:
            note(f"waiting for {device}: another training of this machine uses it ({path})")
        said = True
        check()

    with locked(_opened(path), waiting, poll) as descriptor:
        yield [descriptor]


def lock_file(device: str) -> Path:
    """The lock of a device: by the GPU that it means on the machine, whatever number it has in this process."""
    index = int(device.partition(":")[2] or 0)
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[index] if index < len(visible) else str(index)
    safe = "".join(c if c.isalnum() or c == "-" else "_" for c in name)
    return Path(tempfile.gettempdir()) / f"parc-tracker-gpu-{safe}.lock"


def _opened(path: Path) -> IO[bytes]:
    try:
        # Never truncated or followed elsewhere: a temporary folder belongs to everybody.
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be opened ({error.strerror}); set TMPDIR to a folder of yours"
        ) from error
    with contextlib.suppress(OSError):
        os.fchmod(number, 0o666)  # other users train here, too
    return os.fdopen(number, "r+b")
