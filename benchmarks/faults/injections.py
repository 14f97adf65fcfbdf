"""The faults: each does its harm to a running training and says whether the flow is expected to end by it."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Tuple

from benchmarks.faults.account import starts
from benchmarks.faults.processes import end_all, send, trainers
from benchmarks.faults.scene import Scene
from parc_core.storage.store import Store
from parc_core.supervisor.checkpoint_mirror import POINTER, recorded_sha256
from parc_core.training.checkpoint import list_checkpoints

DOWN_SECONDS = 6.0
SLOW_SECONDS = 10.0
FULL_SECONDS = 8.0
EFFECT_TIMEOUT = 120.0


Felt = Callable[[], bool]
"""Asked when the training has moved on: whether the fault met it."""


class TooLate(Exception):
    """The training ended before the fault could be done; it does not count."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    harm: Callable[[Scene, random.Random], Felt]
    """Raises `TooLate`."""
    what: str
    """In a table."""


def kill_trainer(scene: Scene, _chance: random.Random) -> Felt:
    """SIGKILL, as the kernel does when memory is out."""
    return _signal_trainer(scene, signal.SIGKILL)


def terminate_trainer(scene: Scene, _chance: random.Random) -> Felt:
    """SIGTERM: a checkpoint, exit 75."""
    return _signal_trainer(scene, signal.SIGTERM)


def kill_flow(scene: Scene, _chance: random.Random) -> Felt:
    """SIGKILL of the process that runs the flow; its trainer has to leave by itself."""
    _running(scene)
    assert scene.flow is not None
    scene.flow.kill()
    code = scene.flow.wait()
    return lambda: code == -signal.SIGKILL


def terminate_flow(scene: Scene, _chance: random.Random) -> Felt:
    """SIGTERM of the flow, as a service manager sends it."""
    _running(scene)
    assert scene.flow is not None
    scene.flow.terminate()
    code = scene.flow.wait(EFFECT_TIMEOUT)
    return lambda: code != 0


def restart_objects(scene: Scene, _chance: random.Random) -> Felt:
    """The S3 server dies and comes back."""
    _running(scene)
    before = scene.proxy.refused
    scene.objects.stop()
    try:
        time.sleep(DOWN_SECONDS)
        met = _met(lambda: scene.proxy.refused > before)
    finally:
        scene.objects.start()
    return lambda: met


def restart_objects_and_kill_trainer(scene: Scene, chance: random.Random) -> Felt:
    """The S3 server is away while the trainer dies."""
    _running(scene)
    scene.objects.stop()
    try:
        felt = kill_trainer(scene, chance)
        time.sleep(DOWN_SECONDS)
    finally:
        scene.objects.start()
    return felt


def slow_network(scene: Scene, chance: random.Random) -> Felt:
    """Half a second and 50 to 500 kB/s between us and the store, for a while."""
    _running(scene)
    before = scene.proxy.delayed
    scene.proxy.slow(delay=0.5, rate=chance.uniform(5e4, 5e5))
    time.sleep(SLOW_SECONDS)
    met = _met(lambda: scene.proxy.delayed > before)
    scene.proxy.slow()
    return lambda: met


def corrupt_newest_checkpoint(scene: Scene, chance: random.Random) -> Felt:
    """The running training's newest checkpoint is cut or altered on disk, then the trainer dies."""
    run = scene.work / "runs" / _running(scene)
    _wait_for(scene, lambda: bool(_checkpoints(run / "checkpoints")))
    kill_flow(scene, chance)
    _wait_for_no_trainer(scene)
    said, begun = scene.log_mark(), len(starts(run / "progress.jsonl"))
    samples, newest = _checkpoints(run / "checkpoints")[0]
    _spoil(newest, chance)

    def felt() -> bool:
        """The store had the same one, good, or the training went back to an older one."""
        after = starts(run / "progress.jsonl")[begun:]
        return scene.says(said, "resuming from the checkpoint in the store") or (
            bool(after) and after[0] < samples
        )

    return felt


def lose_the_machine(scene: Scene, chance: random.Random) -> Felt:
    """Everything on this machine is gone; another one goes on with the store alone."""
    felt = kill_flow(scene, chance)
    end_all(trainers(scene.work))
    shutil.rmtree(scene.work)
    return felt


def corrupt_newest_checkpoint_in_store(scene: Scene, chance: random.Random) -> Felt:
    """The running training's newest checkpoint in the store is altered, and the machine lost."""
    key, store = _running(scene), scene.store()
    _wait_for(scene, lambda: bool(stored_checkpoints(store, key)))
    lose_the_machine(scene, chance)
    said = scene.log_mark()
    newest = stored_checkpoints(store, key)[0]
    store.put_bytes(store.read_bytes(newest)[: chance.randrange(1, 5000)], newest)
    scene.spoiled.add(newest)
    return lambda: scene.says(said, "skipped a checkpoint of the store")


def full_disk(scene: Scene, _chance: random.Random) -> Felt:
    """No byte is left on the disk of the work folder, for a while (`work` has to be a small file system)."""
    _running(scene)
    said = scene.log_mark()
    filler = scene.work / ".filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * (1 << 20))
        except OSError as error:
            if error.errno != 28:  # ENOSPC
                raise
    time.sleep(FULL_SECONDS)
    filler.unlink()
    return lambda: scene.says(said, "No space left on device")


FAULTS: Dict[str, Fault] = {
    "kill trainer": Fault(kill_trainer, "SIGKILL of the trainer"),
    "terminate trainer": Fault(terminate_trainer, "SIGTERM of the trainer"),
    "kill flow": Fault(kill_flow, "SIGKILL of the flow"),
    "terminate flow": Fault(terminate_flow, "SIGTERM of the flow"),
    "store away": Fault(restart_objects, "S3 server killed, started again"),
    "store and trainer": Fault(restart_objects_and_kill_trainer, "the same, and SIGKILL of the trainer"),
    "slow network": Fault(slow_network, "S3 through a slow proxy"),
    "bad checkpoint": Fault(corrupt_newest_checkpoint, "newest checkpoint on disk damaged"),
    "machine lost": Fault(lose_the_machine, "flow, trainer and folder gone"),
    "bad stored checkpoint": Fault(corrupt_newest_checkpoint_in_store, "the same, newest stored one damaged"),
    "full disk": Fault(full_disk, "disk full for a while"),
}


def stored_checkpoints(store: Store, key: str) -> List[str]:
    """Keys of a training's checkpoints in the store, as its pointer names them, newest first."""
    found = store.read_versioned(f"runs/{key}/{POINTER}")
    entries = json.loads(found[0])["checkpoints"] if found is not None else []
    return [entry["files"]["checkpoint.pt"]["key"] for entry in entries]


def _running(scene: Scene) -> str:
    """Key of the training that is under way; waits for its trainer to come back."""
    while True:
        key = scene.running()
        if key is not None:
            return key
        if scene.flow is None or scene.flow.poll() is not None:
            raise TooLate
        time.sleep(0.1)


def _met(true: Callable[[], bool]) -> bool:
    """Whether a fault that lasts meets somebody, within a time in which a slow training has to ask the store."""
    deadline = time.monotonic() + EFFECT_TIMEOUT
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def _wait_for(scene: Scene, true: Callable[[], bool]) -> None:
    """While the training is under way."""
    while not true():
        _running(scene)
        time.sleep(0.1)


def _signal_trainer(scene: Scene, number: int) -> Felt:
    _running(scene)
    if not any([send(pid, number) for pid in trainers(scene.work)]):
        raise TooLate
    return lambda: True


def _checkpoints(folder: Path) -> List[Tuple[int, Path]]:
    """(samples, file) of those in a folder that a training can resume from, newest first."""
    return [(samples, path) for samples, path in list_checkpoints(folder) if recorded_sha256(path)]


def _spoil(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if chance.random() < 0.5:
        data = data[: chance.randrange(1, len(data))]
    else:
        data[chance.randrange(len(data))] ^= 0xFF
    path.write_bytes(data)


def _wait_for_no_trainer(scene: Scene) -> None:
    deadline = time.monotonic() + 30
    while trainers(scene.work) and time.monotonic() < deadline:
        time.sleep(0.1)
