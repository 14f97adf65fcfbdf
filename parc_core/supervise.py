"""Runs the trainer as its own process and turns what it does into a result or a typed error.

The contract: arguments in a file, `progress.jsonl` out (one JSON object a line, any line is a life sign),
SIGTERM = finish the iteration, write a checkpoint, leave with 75. Exit codes: 0 done, 75 interrupted with a
checkpoint, 65 bad data, 78 bad config; anything else, or a signal, is a crash. A segfault or an out-of-memory
kill of the trainer therefore costs one attempt and never the process that supervises it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from parc_core.config.paths import PROJECT_ROOT
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

Event = Dict[str, Any]
PROGRESS_FILE = "progress.jsonl"
PRIVATE_FOLDER = ".trainer"  # lock and output, apart from the files that PARC's users know
MAX_FRUITLESS_INTERRUPTIONS = 5
_SHIM = Path(__file__).with_name("exec_with_parent.py")


class TrainerCrashed(ParcError):
    """The trainer died or left with an unknown exit code. Worth another attempt."""


class TrainerHung(TrainerCrashed):
    """The trainer gave no life sign for too long and was stopped. Worth another attempt."""


@dataclass(frozen=True)
class Limits:
    """How long the supervisor waits, in seconds."""

    heartbeat: float = 300.0
    """Without a line in progress.jsonl for this long, the trainer counts as hung."""
    startup: float = 1800.0
    """The same until the first line: loading thousands of clips takes minutes."""
    stop: float = 18.0
    """From SIGTERM to SIGKILL; an orchestrator's own patience is 30 s."""
    lock: float = 30.0
    """For another trainer to leave the run directory (one whose supervisor died is on its way out)."""
    poll: float = 0.2
    """Between two looks at the process."""


class JsonLines:
    """Follows a file of JSON objects that another process appends to, from its present end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def new(self) -> List[Event]:
        """The objects of all lines completed since the last call. Torn lines (kill -9) are left out."""
        try:
            size = self._path.stat().st_size
            if size < self._offset:  # rewritten, for example after a roll-back
                self._offset = 0
            if size == self._offset:
                return []
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        return [event for event in map(_parse, complete.splitlines()) if event is not None]


def _parse(line: bytes) -> Optional[Event]:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def trainer_command(arg_file: Path, trainer_python: Optional[str] = None) -> List[str]:
    """The command line that trains from `arg_file`; `trainer_python` defaults to this interpreter."""
    return [trainer_python or sys.executable, "-m", "parc_core.train", "--arg_file", str(arg_file)]


def supervise(
    command: Sequence[str],
    run_dir: Path,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    on_note: Callable[[str], None] = lambda note: None,
    crash_retries: int = 0,
    delays: Sequence[float] = (10.0, 60.0, 300.0),
    limits: Limits = Limits(),
) -> None:
    """Runs attempts until the training is done; each goes on from the newest good checkpoint.

    An interrupted trainer (75) starts again at once, a crashed one after `delays`, at most `crash_retries`
    times; bad data and bad config are passed on as they are.

    Args:
        on_event: gets every object of progress.jsonl, in this thread.
        on_note: gets one line per attempt that did not finish.

    Raises:
        DataError, ConfigError: as the trainer said.
        TrainerCrashed: after the last attempt.
    """
    crashes = fruitless = 0
    while True:
        reached = _Progress(on_event)
        try:
            return run_attempt(command, run_dir, reached, limits)
        except Interrupted as error:
            fruitless = 0 if reached.advanced else fruitless + 1
            if fruitless >= MAX_FRUITLESS_INTERRUPTIONS:
                raise TrainerCrashed(f"{error}, {fruitless} times in a row without progress") from error
            on_note(f"{error}; starting again from it")
        except TrainerCrashed as error:
            crashes += 1
            if crashes > crash_retries:
                raise
            delay = delays[min(crashes, len(delays)) - 1]
            on_note(f"{error}; attempt {crashes + 1} of {crash_retries + 1} in {delay:g} s")
            time.sleep(delay)


class _Progress:
    """Passes events on and remembers whether the sample count rose within this attempt."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._first: Optional[float] = None
        self.advanced = False

    def __call__(self, event: Event) -> None:
        samples = event.get("samples")
        if isinstance(samples, (int, float)):
            self._first = samples if self._first is None else self._first
            self.advanced = self.advanced or samples > self._first
        self._on_event(event)


def run_attempt(
    command: Sequence[str],
    run_dir: Path,
    on_event: Callable[[Event], None],
    limits: Limits = Limits(),
) -> None:
    """Runs the trainer once, to its end. Whatever ends this call early stops the trainer first.

    Raises:
        Interrupted: it left with 75, a checkpoint is on disk.
        DataError, ConfigError: it left with 65 or 78; the message is its own.
        TrainerHung, TrainerCrashed: anything else.
    """
    run_dir = Path(run_dir)
    output = run_dir / PRIVATE_FOLDER / "output.log"
    _make_folder(output.parent)
    with run_lock(run_dir, limits.lock) as lock, open(output, "ab") as out:
        start = out.tell()
        tail = JsonLines(run_dir / PROGRESS_FILE)
        process = subprocess.Popen(
            [sys.executable, str(_SHIM), str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The trainer holds the lock too: a new supervisor waits for one that outlives its own.
            pass_fds=(lock,),
            env=_environment(),
        )
        last_error: List[str] = []

        def collect(event: Event) -> None:
            if event.get("event") == "error" and event.get("message"):
                last_error.append(str(event["message"]))
            on_event(event)

        try:
            code = _watch(process, tail, collect, limits)
        except BaseException:
            _stop(process, limits.stop)
            raise
        finally:
            _signal_group(process, signal.SIGKILL)  # its helpers, if it left any
    _raise_for(code, last_error[-1] if last_error else _last_line(output, start), output)


def _watch(
    process: subprocess.Popen, tail: JsonLines, on_event: Callable[[Event], None], limits: Limits
) -> int:
    """Passes events on until the process ends; stops it when they cease. Returns its exit code."""
    last, patience = time.monotonic(), limits.startup
    while True:
        code = process.poll()
        for event in tail.new():
            last, patience = time.monotonic(), limits.heartbeat
            on_event(event)
        if code is not None:
            return code
        if time.monotonic() - last > patience:
            raise TrainerHung(f"the trainer gave no life sign for {patience:g} s and was stopped")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limits.poll)


def _stop(process: subprocess.Popen, patience: float) -> None:
    """SIGTERM to the trainer's whole group, SIGKILL when it has not left in time."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _environment() -> Dict[str, str]:
    """Ours, with this project importable by any interpreter and output unbuffered."""
    paths = [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}


def _raise_for(code: int, message: str, output: Path) -> None:
    if code == EXIT_DONE:
        return
    if code == EXIT_INTERRUPTED:
        raise Interrupted("training was interrupted with a checkpoint")
    if code == EXIT_BAD_DATA:
        raise DataError(message or f"the trainer found bad data, see {output}")
    if code == EXIT_BAD_CONFIG:
        raise ConfigError(message or f"the trainer cannot use its configuration, see {output}")
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"left with code {code}"
    if code == -signal.SIGKILL:
        how += " (out of memory?)"
    raise TrainerCrashed(f"the trainer {how}: {message or 'no message'} (its output: {output})")


def _last_line(output: Path, start: int) -> str:
    """The last line that is not blank of what was written from `start` on."""
    with open(output, "rb") as file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - 4096))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


@contextlib.contextmanager
def run_lock(run_dir: Path, patience: float) -> Iterator[int]:
    """Holds the run directory: two trainings in one would spoil each other's checkpoints.

    The kernel drops the lock with the last process that holds it, so that none is ever left behind.

    Yields:
        The locked file descriptor.

    Raises:
        ConfigError: another training held it for `patience` seconds.
    """
    path = Path(run_dir) / PRIVATE_FOLDER / "lock"
    _make_folder(path.parent)
    with open(path, "a+b") as file:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ConfigError(
                        f"another training is using {run_dir}: wait for it or set another output_dir"
                    ) from None
                time.sleep(0.1)
        yield file.fileno()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}; set another output_dir") from error
