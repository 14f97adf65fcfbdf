"""A training's checkpoints in the store, so that any machine can resume it.

`runs/<key>/state/<samples>-<hash>/`  checkpoint.pt, log.txt: written first
`runs/<key>/checkpoints.json`         the newest of them, newest first: written then
`runs/<key>/progress.jsonl`           all events, now and then

Uploads happen in a thread of their own; the trainer never waits for one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from parc_core.config.resolve import PRIVATE_FOLDER
from parc_core.errors import DataError, ParcError
from parc_core.storage.store import Store
from parc_core.system.files import sha256_file, write_text
from parc_core.training.checkpoint import checkpoint_path, list_checkpoints

POINTER = "checkpoints.json"
KEPT = 2
"""Checkpoints that the store keeps: the newest, and one to fall back to."""
RETRY_SECONDS = 30.0
PROGRESS_SECONDS = 60.0
CHECKPOINT, LOG, PROGRESS = "checkpoint.pt", "log.txt", "progress.jsonl"
Entry = Dict[str, Any]
"""`{"samples": …, "files": {name: {"key", "sha256", "size"}}}`"""


class CheckpointMirror:
    """Takes a training's newest checkpoint to the store and back."""

    def __init__(
        self,
        store: Store,
        key: str,
        run_dir: Path,
        note: Callable[[str], None] = lambda line: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """Nothing is read or written yet.

        Args:
            store: where to.
            key: of the training.
            run_dir: the training's folder on this machine.
            note: gets one line for what went wrong, and for what was fetched.
            may_write: whether this training is still ours.
        """
        self._store, self._prefix, self._key, self._run_dir = store, f"runs/{key}", key, run_dir
        self._note, self._may_write = note, may_write
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._sent: Optional[Tuple[int, str]] = None
        self._ours = True
        self._progress_sent = -PROGRESS_SECONDS
        self.uploads = 0
        """Checkpoints that were taken to the store."""
        self.errors = 0
        """Uploads that failed; the next one takes what is newest then."""

    # -- from the store ------------------------------------------------------------------------------------

    def pull(self) -> Optional[int]:
        """Brings the store's newest good checkpoint here if none here is as new.

        Returns:
            Its samples, or None where nothing was fetched.

        Raises:
            StoreUnreachable: the store does not answer.
        """
        mark = self._run_dir / PRIVATE_FOLDER / "run_key"
        folder = self._run_dir / "checkpoints"
        if list_checkpoints(folder) and not (
            mark.is_file() and mark.read_text(encoding="utf-8") == self._key
        ):
            self._ours = False  # the folder holds another training: the trainer will say so
            return None
        write_text(mark, self._key)
        here = newest_good(folder)
        for entry in self._entries():
            if here is not None and entry["samples"] <= here:
                break
            if self._fetch(entry, folder):
                self._note(f"resuming from the checkpoint in the store: {entry['samples']:,} samples")
                return int(entry["samples"])
        return None

    def _entries(self) -> List[Entry]:
        """What the pointer names, newest first; what does not belong to this training is left out."""
        found = self._store.read_versioned(f"{self._prefix}/{POINTER}")
        if found is None:
            return []
        try:
            value = self._store.read_json(f"{self._prefix}/{POINTER}")
            entries = [entry for entry in value["checkpoints"] if self._is_entry(entry)]
        except (DataError, KeyError, TypeError) as error:
            self._note(f"{self._prefix}/{POINTER} cannot be used: {error}")
            return []
        return sorted(entries, key=lambda entry: -entry["samples"])

    def _is_entry(self, entry: Any) -> bool:
        files = entry["files"]
        return (
            isinstance(entry["samples"], int)
            and CHECKPOINT in files
            and all(str(file["key"]).startswith(f"{self._prefix}/state/") for file in files.values())
            and all(isinstance(file["sha256"], str) for file in files.values())
        )

    def _fetch(self, entry: Entry, folder: Path) -> bool:
        path = checkpoint_path(folder, entry["samples"])
        file = entry["files"][CHECKPOINT]
        try:
            self._store.get_file(file["key"], path, file["sha256"])
            log = entry["files"].get(LOG)
            if log is not None:
                self._store.get_file(log["key"], self._run_dir / LOG, log["sha256"])
        except DataError as error:
            self._note(f"skipped a checkpoint of the store: {error}")
            return False
        write_text(path.with_name(path.name + ".sha256"), f"{file['sha256']}  {path.name}\n")
        return True

    # -- to the store --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the thread that uploads."""
        self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """There is a new checkpoint; returns at once."""
        self._wake.set()

    def finish(self, timeout: float) -> None:
        """Uploads what is left, for at most `timeout` seconds, and ends the thread."""
        self._ending.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                self._note("the last checkpoint did not reach the store in time; it is on this machine")

    def _work(self) -> None:
        pending = False
        while not (self._ending.is_set() and not self._wake.is_set()):
            woken = self._wake.wait(RETRY_SECONDS if pending else None)
            if not woken and not pending:
                continue
            self._wake.clear()
            pending = not self._try_upload()
            if pending and self._ending.is_set():
                return

    def _try_upload(self) -> bool:
        try:
            self.upload()
        except (ParcError, OSError) as error:
            self.errors += 1
            self._note(f"a checkpoint could not be taken to the store: {error}")
            return False
        return True

    def upload(self) -> None:
        """Takes the newest checkpoint to the store: its content first, then the pointer.

        Raises:
            StoreUnreachable, ConfigError: the store does not answer, or cannot be written.
        """
        found = self._snapshot()
        if found is None or not self._ours or not self._may_write():
            return
        samples, sha256, files = found
        if self._sent != (samples, sha256):
            folder = f"{self._prefix}/state/{samples}-{sha256[:16]}"
            refs = {name: self._put(path, f"{folder}/{name}") for name, path in files.items()}
            older = [entry for entry in self._entries() if entry["samples"] < samples]
            kept = [{"samples": samples, "files": refs}, *older][:KEPT]
            if not self._may_write():
                return
            self._store.put_json({"format": 1, "checkpoints": kept}, f"{self._prefix}/{POINTER}")
            self._sent = (samples, sha256)
            self.uploads += 1
            self._forget_others(kept)
        self._send_progress()

    def _put(self, path: Path, key: str) -> Entry:
        ref = self._store.put_file(path, key)
        return {"key": key, "sha256": ref["sha256"], "size": path.stat().st_size}

    def _snapshot(self) -> Optional[Tuple[int, str, Dict[str, Path]]]:
        """The newest whole checkpoint under a name that the trainer does not remove, and the table beside it."""
        own = self._run_dir / PRIVATE_FOLDER / "mirror"
        own.mkdir(parents=True, exist_ok=True)
        for samples, path in list_checkpoints(self._run_dir / "checkpoints"):
            copy = own / CHECKPOINT
            copy.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):  # the trainer has removed it meanwhile
                _link(path, copy)
                sha256 = recorded_sha256(path)
                if sha256 is None or sha256 != sha256_file(copy):
                    continue
                files = {CHECKPOINT: copy}
                if (self._run_dir / LOG).is_file():
                    shutil.copyfile(self._run_dir / LOG, own / LOG)
                    files[LOG] = own / LOG
                return samples, sha256, files
        return None

    def _send_progress(self) -> None:
        path = self._run_dir / PROGRESS
        due = self._ending.is_set() or time.monotonic() - self._progress_sent >= PROGRESS_SECONDS
        if due and path.is_file():
            copy = self._run_dir / PRIVATE_FOLDER / "mirror" / PROGRESS
            shutil.copyfile(path, copy)
            self._store.put_file(copy, f"{self._prefix}/{PROGRESS}")
            self._progress_sent = time.monotonic()

    def _forget_others(self, kept: List[Entry]) -> None:
        used = {file["key"] for entry in kept for file in entry["files"].values()}
        for key in self._store.list(f"{self._prefix}/state"):
            if key not in used:
                self._store.delete(key)


def recorded_sha256(checkpoint: Path) -> Optional[str]:
    """What the file beside a checkpoint says of its content; None where there is none."""
    try:
        words = checkpoint.with_name(checkpoint.name + ".sha256").read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0] if words else None


def newest_good(folder: Path) -> Optional[int]:
    """Samples of the newest checkpoint in a folder whose content is what it should be."""
    for samples, path in list_checkpoints(folder):
        with contextlib.suppress(OSError):
            if recorded_sha256(path) == sha256_file(path):
                return samples
    return None


def _link(path: Path, copy: Path) -> None:
    try:
        os.link(path, copy)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(path, copy)
