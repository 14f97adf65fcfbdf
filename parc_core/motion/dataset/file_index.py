"""What is known of each motion file, so that unchanged files are not read again."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Dict, Optional, Tuple

from parc_core.errors import ConfigError, DataError
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.formats.pickle_limits import MAX_FILE_BYTES
from parc_core.motion.plausibility import judge
from parc_core.motion.skeleton import Skeleton
from parc_core.motion.validation import validate
from parc_core.system.files import PathLike, read_regular, sha256_bytes, write_text

CHECKS_VERSION = 3
"""Raise when `inspect` judges differently: what older versions noted is then looked at again."""


@dataclass(frozen=True)
class FileFacts:
    """What one look at a motion file found."""

    sha256: str
    """Of the content; empty where the file could not be read at all."""
    error: Optional[str] = None
    """Why it cannot be used, or None."""
    frames: int = 0
    fps: int = 0
    nx: int = 0
    """Terrain cells along x."""
    ny: int = 0
    """Terrain cells along y."""
    dx: float = 0.0
    """Cell size, m."""
    implausible: str = ""
    """What cannot be right about the motion and why (see `motion.plausibility`); empty for nothing."""
    notes: str = ""
    """What reading it changes (resampled, moved near zero), and what is odd without an evident cause."""


def inspect(path: str, num_bodies: int, skeleton: Optional[Skeleton] = None) -> FileFacts:
    """Read one motion file and judge it; a bad file is an answer, not an exception.

    Args:
        path: the file.
        num_bodies: J of the character.
        skeleton: of the character; None judges no joints.
    """
    try:
        data = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        return FileFacts("", f"cannot be read ({error.strerror or error})")
    sha256 = sha256_bytes(data)
    try:
        mt = read_motion_terrain(data, path)
        validate(mt, path, num_bodies)
        if mt.misc is not None:
            safe_pickle.check(mt.misc, f"{path}: misc_data")
    except DataError as error:
        text = str(error)
        return FileFacts(sha256, text[len(path) + 2 :] if text.startswith(f"{path}: ") else text)
    assert mt.motion is not None and mt.terrain is not None  # validate saw to it
    nx, ny = mt.terrain.hf.shape
    found = judge(mt.motion, mt.terrain, skeleton)
    slip, odd = (str(found), "") if found.cause else ("", found.text)
    notes = "; ".join(
        [f"{note} when it is read" for note in mt.notes] + [f"odd, but kept: {odd}"] * bool(odd)
    )
    return FileFacts(sha256, None, mt.motion.num_frames, mt.motion.fps, nx, ny, mt.terrain.dx, slip, notes)


def default_index_path() -> Path:
    """`$PARC_INDEX`, else `.parc/motion_index.json` in the working folder."""
    return Path(os.environ.get("PARC_INDEX") or Path(".parc") / "motion_index.json")


class FileIndex:
    """Facts of files by path, trusted while size, modification and change time stay the same.

    The index is a cache: a missing, broken or unwritable one costs time alone.
    """

    def __init__(self, path: PathLike, num_bodies: int, skeleton: Optional[Skeleton] = None) -> None:
        """Open the index at `path` for a character of `num_bodies` bodies."""
        self.path = Path(path)
        self._judged_for = f"{CHECKS_VERSION}:{num_bodies}"
        if skeleton is not None:
            self._judged_for += f":{skeleton.digest()[:16]}"
        self._files: Dict[str, Dict[str, object]] = {}
        self._changed = False
        try:
            loaded = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(loaded, dict):
                self._files = {k: v for k, v in loaded.items() if isinstance(v, dict)}
        except (OSError, ValueError, RecursionError):
            pass

    def lookup(self, path: str, file_stamp: Optional[str] = None) -> Optional[FileFacts]:
        """The facts of an unchanged file, or None where it must be read.

        Args:
            path: the file, or `content_name(sha256)` for a file that is known by its content alone.
            file_stamp: what it must be; by default the file's own stamp now.
        """
        known = self._files.get(path)
        if known is None or known.get("judged_for") != self._judged_for:
            return None
        if known.get("stamp") != (file_stamp or stamp(path)):
            return None
        try:
            return FileFacts(**known["facts"])  # type: ignore[arg-type]
        except (KeyError, TypeError):
            return None

    def record(self, path: str, file_stamp: Optional[str], facts: FileFacts) -> None:
        """Keep the facts of a file as it was at `file_stamp` (taken before it was read)."""
        if file_stamp is None or not facts.sha256:
            return
        self._files[path] = {"stamp": file_stamp, "judged_for": self._judged_for, "facts": asdict(facts)}
        self._changed = True

    def save(self) -> None:
        """Write the index where something was learnt; warn where it cannot be written."""
        if not self._changed:
            return
        try:
            write_text(self.path, json.dumps(self._files, separators=(",", ":")))
        except ConfigError as error:
            warnings.warn(f"motion files will be read again next time: {error}", stacklevel=2)
        self._changed = False


CONTENT_STAMP = "content"
"""The stamp of what is noted under `content_name`: content never changes."""


def content_name(sha256: str) -> str:
    """The name in the index for a file that is known by its content alone, wherever it lies."""
    return f"sha256:{sha256}"


def stamp(path: str) -> Optional[str]:
    """Size, modification and change time of a file as text, or None where there is none.

    The change time catches what keeps size and modification time (`cp -p`, `rsync -t`).
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def inspect_stamped(task: Tuple[str, int, Optional[Skeleton]]) -> Tuple[Optional[str], FileFacts]:
    """`inspect` with the stamp from before the read (for worker processes)."""
    path, num_bodies, skeleton = task
    before = stamp(path)
    return before, inspect(path, num_bodies, skeleton)
