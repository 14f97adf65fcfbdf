"""The faults: each does its harm to a running training and says whether the flow is expected to end by it."""

from __future__ import annotations

import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List

from benchmarks.faults.processes import end_all, send, trainers
from benchmarks.faults.scene import Scene

DOWN_SECONDS = 6.0
SLOW_SECONDS = 10.0
FULL_SECONDS = 8.0


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    harm: Callable[[Scene, random.Random], None]
    what: str
    """In a table."""


def kill_trainer(scene: Scene, _chance: random.Random) -> None:
    """SIGKILL, as the kernel does when memory is out."""
    for pid in trainers(scene.work):
        send(pid, signal.SIGKILL)


def terminate_trainer(scene: Scene, _chance: random.Random) -> None:
    """SIGTERM: a checkpoint, exit 75."""
    for pid in trainers(scene.work):
        send(pid, signal.SIGTERM)


def kill_flow(scene: Scene, _chance: random.Random) -> None:
    """SIGKILL of the process that runs the flow; its trainer has to leave by itself."""
    assert scene.flow is not None
    scene.flow.kill()
    scene.flow.wait()


def terminate_flow(scene: Scene, _chance: random.Random) -> None:
    """SIGTERM of the flow, as a service manager sends it."""
    assert scene.flow is not None
    scene.flow.terminate()
    scene.flow.wait(60)


def restart_objects(scene: Scene, _chance: random.Random) -> None:
    """The S3 server dies and comes back."""
    scene.objects.stop()
    time.sleep(DOWN_SECONDS)
    scene.objects.start()


def restart_objects_and_kill_trainer(scene: Scene, chance: random.Random) -> None:
    """The S3 server is away while the trainer dies."""
    scene.objects.stop()
    kill_trainer(scene, chance)
    time.sleep(DOWN_SECONDS)
    scene.objects.start()


def slow_network(scene: Scene, chance: random.Random) -> None:
    """Half a second and 50 to 500 kB/s between us and the store, for a while."""
    scene.proxy.slow(delay=0.5, rate=chance.uniform(5e4, 5e5))
    time.sleep(SLOW_SECONDS)
    scene.proxy.slow()


def corrupt_newest_checkpoint(scene: Scene, chance: random.Random) -> None:
    """The newest checkpoint is cut or altered on disk, then the trainer dies."""
    kill_flow(scene, chance)
    _wait_for_no_trainer(scene)
    _spoil(_checkpoints(scene)[-1:], chance)


def lose_the_machine(scene: Scene, chance: random.Random) -> None:
    """Everything on this machine is gone; another one goes on with the store alone."""
    kill_flow(scene, chance)
    end_all(trainers(scene.work))
    shutil.rmtree(scene.work)


def corrupt_newest_checkpoint_in_store(scene: Scene, chance: random.Random) -> None:
    """The newest checkpoint in the store is altered, and the machine lost."""
    lose_the_machine(scene, chance)
    store = scene.store()
    keys = [key for key in store.list("runs") if "/state/" in key and key.endswith(".pt")]
    if keys:
        newest = max(keys, key=lambda key: int(key.partition("/state/")[2].partition("-")[0]))
        store.put_bytes(store.read_bytes(newest)[: chance.randrange(1, 5000)], newest)
        scene.spoiled.add(newest)


def full_disk(scene: Scene, _chance: random.Random) -> None:
    """No byte is left on the disk of the work folder, for a while (`work` has to be a small file system)."""
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


def _checkpoints(scene: Scene) -> List[Path]:
    """Those that a training can resume from, newest last; older ones have no SHA-256 beside."""
    found = [path.with_suffix("") for path in scene.work.glob("runs/*/checkpoints/*.pt.sha256")]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _spoil(paths: List[Path], chance: random.Random) -> None:
    for path in paths:
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
