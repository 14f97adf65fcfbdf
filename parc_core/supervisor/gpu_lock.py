"""One training on a GPU at a time: a lock file per device."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Callable, Iterator, List, Optional

from parc_core.errors import ConfigError
from parc_core.system.locks import locked, try_lock

_LONGEST_OWNER = 300


@contextlib.contextmanager
def device_lock(
    device: str,
    note: Callable[[str], None] = lambda line: None,
    check: Callable[[], None] = lambda: None,
    poll: float = 1.0,
    gpus: int = 1,
    owner: str = "",
) -> Iterator[List[int]]:
    """Holds GPUs of this machine; waits, saying so, while another training has one. A CPU needs no lock.

    All processes take their locks in one order, that of the files' names: none waits for a lock while it holds one that
    comes later, so no two can wait for each other.

    Args:
        device: `cpu`, `cuda` or `cuda:<number>`.
        note: gets one line for each GPU for which there is somebody to wait.
        check: called while waiting; what it raises ends the waiting.
        poll: seconds between two attempts.
        gpus: how many, from the device on.
        owner: who holds them, for others that wait and for `lock_owner`: the training's folder.

    Yields:
        Descriptors to hand on to the trainer, so that the GPUs stay taken while one that lost its parent ends.

    Raises:
        ConfigError: a lock file cannot be opened.
    """
    paths = {lock_file(name): name for name in _gpu_names(device, gpus)}
    held: List[int] = []
    with contextlib.ExitStack() as stack:
        for path in sorted(paths):
            waiting = _Waiting(paths[path], path, note, check)
            held.append(stack.enter_context(locked(_opened(path), waiting, poll)))
            _write_owner(held[-1], owner)
        yield held


def _gpu_names(device: str, gpus: int) -> List[str]:
    """`cuda:2`, `cuda:3`, … for as many GPUs from a device on."""
    kind, _, first = device.partition(":")
    return [f"cuda:{int(first or 0) + i}" for i in range(gpus)] if kind == "cuda" else []


def lock_file(device: str) -> Path:
    """The lock of a device: by the GPU that it means on the machine, whatever number it has in this process."""
    index = int(device.partition(":")[2] or 0)
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[index] if index < len(visible) else str(index)
    safe = "".join(c if c.isalnum() or c == "-" else "_" for c in name)
    return Path(tempfile.gettempdir()) / f"parc-tracker-gpu-{safe}.lock"


def lock_owner(device: str) -> Optional[str]:
    """Who holds a GPU: the training's folder, or that it did not say; None where the GPU is free."""
    path = lock_file(device)
    if not path.exists():
        return None
    with _opened(path) as file:
        return None if try_lock(file) else _read_owner(file)


class _Waiting:
    """Says once for whom it waits."""

    def __init__(self, name: str, path: Path, note: Callable[[str], None], check: Callable[[], None]) -> None:
        self._name, self._path, self._note, self._check = name, path, note, check
        self._said = False

    def __call__(self, _seconds: float) -> None:
        if not self._said:
            owner = lock_owner(self._name) or "which has just ended"
            self._note(
                f"waiting for {self._name}: another training of this machine uses it, {owner} ({self._path})"
            )
        self._said = True
        self._check()


def _opened(path: Path) -> IO[bytes]:
    # Never truncated or followed elsewhere: a temporary folder belongs to everybody. Opened first without O_CREAT, with
    # which Linux refuses other users' files in such a folder (fs.protected_regular).
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            number = os.open(path, flags)
        except FileNotFoundError:
            number = os.open(path, flags | os.O_CREAT, 0o666)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be opened ({error.strerror}); set TMPDIR to a folder of yours"
        ) from error
    with contextlib.suppress(OSError):
        os.fchmod(number, 0o666)  # other users train here, too
    return os.fdopen(number, "r+b")


def _write_owner(descriptor: int, owner: str) -> None:
    """For others to read; the lock alone says whether it still holds."""
    about = os.fstat(descriptor)
    if (
        stat.S_ISREG(about.st_mode) and about.st_nlink == 1
    ):  # no link to a file of ours that another user has made
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, owner.encode()[:_LONGEST_OWNER], 0)


def _read_owner(file: IO[bytes]) -> str:
    text = file.read(_LONGEST_OWNER).decode("utf-8", "replace").strip()
    return "".join(c if c.isprintable() else "?" for c in text) or "which does not say its folder"
