"""Runs the trainer as its own process and turns what it does into a result or a typed error.

The contract: arguments in a file, `progress.jsonl` out (one JSON object a line, any line is a heartbeat),
SIGTERM = finish the iteration, write a checkpoint, leave with 75. Exit codes: 0 done, 75 interrupted with a
checkpoint, 65 bad data, 78 bad config; anything else, or a signal, is a crash. A segfault or an out-of-memory
kill of the trainer therefore costs one attempt and never the process that supervises it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from parc_core.config.resolve import PRIVATE_FOLDER
from parc_core.errors import ConfigError, Interrupted
from parc_core.supervisor.exit import (
    ExitInfo,
    TrainerCrashed,
    TrainerHung,
    is_killed_process,
    memory_kills,
    raise_for,
)
from parc_core.supervisor.interpreter import import_folder
from parc_core.system import die_with_parent
from parc_core.system.follow import Event, JsonLines, Lines
from parc_core.system.launch import not_launched
from parc_core.system.locks import locked

PROGRESS_FILE = "progress.jsonl"
MAX_INTERRUPTIONS_WITHOUT_PROGRESS = 5
LOST = "ProcessLost"
"""Kind of the error that processes of one training tell of another one."""
_SHIM = Path(die_with_parent.__file__)


@dataclass(frozen=True)
class Listener:
    """Callbacks for training events, each called in the supervising thread. What they raise stops the trainer."""

    event: Callable[[Event], None] = lambda event: None
    """Gets every object of progress.jsonl."""
    output: Callable[[str], None] = lambda line: None
    """Gets every line that the trainer prints."""
    note: Callable[[str], None] = lambda note: None
    """Gets one line per attempt that did not finish."""
    check: Callable[[], None] = lambda: None
    """Called some times a second, also between attempts: whether to go on."""


@dataclass(frozen=True)
class Limits:
    """How long the supervisor waits, in seconds."""

    heartbeat: float = 300.0
    """Without a line in progress.jsonl for this long, the trainer counts as hung."""
    startup: float = 1800.0
    """The same until the first line: loading thousands of clips takes minutes."""
    stop: float = 18.0
    """From SIGTERM to SIGKILL; an orchestrator's own limit is 30 s."""
    lock: float = 30.0
    """For another trainer to leave the run directory (one whose supervisor died is on its way out)."""
    poll: float = 0.2
    """Between two polls of the process."""


def trainer_command(arg_file: Path, trainer_python: Optional[str] = None) -> List[str]:
    """The command line that trains from `arg_file`; `trainer_python` defaults to this interpreter."""
    return [trainer_python or sys.executable, "-m", "parc_core.train", "--arg_file", str(arg_file)]


def supervise(
    command: Sequence[str],
    run_dir: Path,
    listener: Listener = Listener(),
    crash_retries: int = 0,
    *,
    delays: Sequence[float] = (10.0, 60.0, 300.0),
    limits: Limits = Limits(),
    locks: Sequence[int] = (),
) -> None:
    """Runs attempts until the training is done; each resumes from the newest good checkpoint.

    An interrupted trainer (75) starts again at once, a crashed one after `delays` (s, varied by a quarter so that
    many that fell over one cause do not come back together), at most `crash_retries` times; one that diverged or
    ran out of memory once only. Bad data and bad config are passed on as they are.

    Args:
        locks: file descriptors of locks that the trainer holds, too.

    Raises:
        DataError, ConfigError: as the trainer said.
        TrainerCrashed: after the last attempt.
    """
    crashes = interruptions = 0
    kinds: List[type] = []
    while True:
        progress = _Progress()
        try:
            return run_attempt(command, run_dir, listener, limits, progress, locks)
        except Interrupted as error:
            interruptions = 0 if progress.advanced else interruptions + 1
            if interruptions >= MAX_INTERRUPTIONS_WITHOUT_PROGRESS:
                raise TrainerCrashed(f"{error}, {interruptions} times in a row without progress") from error
            listener.note(f"{error}; resuming from it")
        except TrainerCrashed as error:
            crashes += 1
            kinds.append(type(error))
            if crashes > crash_retries or kinds.count(type(error)) > error.retries:
                raise
            delay = delays[min(crashes, len(delays)) - 1] * random.uniform(0.75, 1.25)
            listener.note(f"{error}; attempt {crashes + 1} of {crash_retries + 1} in {delay:.3g} s")
            _sleep(delay, listener.check)


def _sleep(seconds: float, check: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check()
        time.sleep(max(0.0, min(0.2, end - time.monotonic())))


class _Progress:
    """What an attempt reached: whether the sample count rose, and the error that ended it."""

    def __init__(self) -> None:
        self._first: Optional[float] = None
        self.advanced = False
        self.error = ""
        self.error_kind = ""

    def see(self, event: Event) -> None:
        samples = event.get("samples")
        if isinstance(samples, (int, float)):
            self._first = samples if self._first is None else self._first
            self.advanced = self.advanced or samples > self._first
        if (
            event.get("event") == "error" and not self.error_kind
        ):  # of several processes' the first is the cause
            self.error = str(event.get("message") or "")
            self.error_kind = str(event.get("kind") or "")

    def why(self, last_line: str) -> Tuple[str, str]:
        """Message and kind of what ended the attempt, which printed this last.

        A process that was killed told nothing, and the errors of the others follow from that, unless they say that it
        gave no sign of life: then it was they who killed it.
        """
        if is_killed_process(last_line) and self.error_kind != LOST:
            return last_line, ""
        return self.error or last_line, self.error_kind


def run_attempt(
    command: Sequence[str],
    run_dir: Path,
    listener: Listener = Listener(),
    limits: Limits = Limits(),
    progress: Optional[_Progress] = None,
    locks: Sequence[int] = (),
) -> None:
    """Runs the trainer once, to its end. Whatever ends this call early stops the trainer first.

    Raises:
        Interrupted: it left with 75, a checkpoint is on disk.
        DataError, ConfigError: it left with 65 or 78; the message is its own.
        TrainerHung, TrainerCrashed: anything else.
    """
    run_dir = Path(run_dir)
    progress = progress or _Progress()
    output = run_dir / PRIVATE_FOLDER / "output.log"
    _make_folder(output.parent)
    with run_lock(run_dir, limits.lock) as lock, open(output, "ab") as out:
        start, killed = out.tell(), memory_kills()
        watch = _Watch(JsonLines(run_dir / PROGRESS_FILE), Lines(output), listener, progress)
        process = subprocess.Popen(
            [sys.executable, str(_SHIM), str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The trainer holds the lock too: a new supervisor waits for one that outlives its own.
            pass_fds=(lock, *locks),
            env=_environment(command[0], run_dir),
        )
        try:
            code = watch.until_end(process, limits)
        except BaseException:
            _stop(process, limits.stop)
            raise
        finally:
            _signal_group(process, signal.SIGKILL)  # its own children, if it left any
    message, kind = progress.why(_last_line(output, start))
    raise_for(ExitInfo(code, message, kind, output, memory_kills() > killed))


@dataclass
class _Watch:
    events: JsonLines
    output: Lines
    listener: Listener
    progress: _Progress

    def until_end(self, process: subprocess.Popen, limits: Limits) -> int:
        """Passes events and output on until the process ends. Returns its exit code.

        Raises:
            TrainerHung: the events ceased.
        """
        last, timeout = time.monotonic(), limits.startup
        while True:
            self.listener.check()
            code = process.poll()  # before reading, so that nothing written before the end is missed
            if self._pass_on():
                last, timeout = time.monotonic(), limits.heartbeat
            if code is not None:
                return code
            if time.monotonic() - last > timeout:
                raise TrainerHung(f"no heartbeat from the trainer for {timeout:g} s; terminated")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(limits.poll)

    def _pass_on(self) -> bool:
        for line in self.output.new():
            if not line.startswith(b"error: "):  # whoever started the training says it when it has ended
                self.listener.output(line.decode("utf-8", "replace"))
        events = self.events.events()
        for event in events:
            self.progress.see(event)
            self.listener.event(event)
        return bool(events)


def _stop(process: subprocess.Popen, timeout: float) -> None:
    """SIGTERM to the trainer's whole group, SIGKILL when it has not left in time."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _environment(python: str, run_dir: Path) -> Dict[str, str]:
    """Ours, with parc_core importable by the trainer's interpreter and output unbuffered; it is not one of several."""
    try:
        folder = import_folder(python, run_dir / PRIVATE_FOLDER / "import")
    except OSError as error:
        raise ConfigError(f"cannot write to {run_dir}: {error.strerror}; set another output_dir") from error
    paths = filter(None, [str(folder), os.environ.get("PYTHONPATH", "")])
    return {**not_launched(os.environ), "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def _last_line(output: Path, start: int) -> str:
    """The last line that is not blank of what was written from `start` on."""
    try:
        file = open(output, "rb")  # noqa: SIM115 - what follows reads it
    except FileNotFoundError:
        folder = output.parent.parent
        return (
            f"output_dir {folder}: was moved or removed while training; move it back and start again: training goes on "
            "from its last checkpoint"
        )
    with file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - 4096))
        lines = file.read().decode("utf-8", "replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last[len("error: ") :] if last.startswith("error: ") else last


@contextlib.contextmanager
def run_lock(run_dir: Path, timeout: float) -> Iterator[int]:
    """Holds the run directory: two trainings in one would spoil each other's checkpoints.

    The trainer inherits it. Its own lock, on progress.jsonl, is for trainers that nobody supervises: it cannot be
    this one, as a file that is opened again has to be locked again.

    Yields:
        The locked file descriptor.

    Raises:
        ConfigError: another training held it for `timeout` seconds.
    """
    path = Path(run_dir) / PRIVATE_FOLDER / "lock"
    _make_folder(path.parent)

    def waiting(seconds: float) -> None:
        if seconds >= timeout:
            raise ConfigError(f"another training is using {run_dir}: wait for it or set another output_dir")

    with locked(open(path, "a+b"), waiting) as descriptor:
        yield descriptor


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}; set another output_dir") from error
