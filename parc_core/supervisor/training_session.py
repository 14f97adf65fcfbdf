"""A training with all that surrounds its process: the GPU, the store's checkpoints, and attempts."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Sequence

from parc_core.storage.lease import Lease
from parc_core.storage.store import Store
from parc_core.supervisor.checkpoint_mirror import CheckpointMirror
from parc_core.supervisor.gpu_lock import device_lock
from parc_core.supervisor.supervise import Limits, Listener, supervise
from parc_core.system.follow import Event

CRASH_RETRIES = 3
LAST_UPLOAD_SECONDS = 8.0
"""For the last checkpoint of a stopped training: with the trainer's own 18 s less than an orchestrator's 30."""
UPLOAD_AT_END_SECONDS = 3600.0


@dataclass(frozen=True)
class TrainingRun:
    """What is trained where."""

    command: Sequence[str]
    """The trainer's command line."""
    run_dir: Path
    """Its folder on this machine."""
    device: str
    """`cpu`, `cuda:0`, …; of several the first."""
    key: Optional[str] = None
    """Names the training in the store (`runs/<key>`); None: it stays on this machine."""
    gpus: int = 1
    """How many train together, from the device on."""


def run_training(
    run: TrainingRun,
    listener: Listener,
    lease: Optional[Lease] = None,
    limits: Optional[Limits] = None,
    delays: Sequence[float] = (10.0, 60.0, 300.0),
) -> None:
    """Trains to the end; resumes from the newest good checkpoint of this machine and the store.

    Args:
        run: what and where.
        listener: callbacks for training events.
        lease: the right to train it, where there is one; losing it stops the trainer.
        limits: of the supervisor.
        delays: between attempts, in seconds.

    Raises:
        DataError, ConfigError, TrainerCrashed: as `supervise`.
        StoreUnreachable: the store does not answer at the start.
        LeaseLost: another worker has taken over.
    """
    if lease is not None:
        listener = _also_checking(listener, lease)
    gpus = device_lock(
        run.device, listener.note, listener.check, gpus=run.gpus, owner=str(run.run_dir.absolute())
    )
    with gpus as locks, _mirrored(run, listener, lease) as heard:
        supervise(
            run.command,
            run.run_dir,
            heard,
            CRASH_RETRIES,
            delays=delays,
            limits=limits or Limits(),
            locks=locks,
        )


@contextlib.contextmanager
def _mirrored(run: TrainingRun, listener: Listener, lease: Optional[Lease]) -> Iterator[Listener]:
    """The listener; checkpoint events also go to a store that other machines see."""
    store = Store()
    if run.key is None or store.root is not None:
        yield listener
        return
    mirror = CheckpointMirror(
        store, run.key, run.run_dir, listener.note, lambda: lease is None or not lease.lost
    )
    mirror.pull()
    mirror.start()

    def event(found: Event) -> None:
        if found.get("event") == "checkpoint":
            mirror.changed()
        listener.event(found)

    timeout = LAST_UPLOAD_SECONDS
    try:
        yield dataclasses.replace(listener, event=event)
        timeout = UPLOAD_AT_END_SECONDS
    finally:
        mirror.finish(timeout)  # also what the trainer wrote while it was stopped


def _also_checking(listener: Listener, lease: Lease) -> Listener:
    def check() -> None:
        lease.still_held()
        listener.check()

    return dataclasses.replace(listener, check=check)
