"""A training's newest model while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

from parc_core.config.resolve import CHECKPOINTS
from parc_core.training.checkpoint import list_checkpoints


class NewestModel:
    """The newest checkpoint of a training's folder, or its `model.pt` where that is newer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: Optional[Tuple[str, int, int]] = None

    def look(self) -> Optional[Path]:
        """A model that is newer than the last one that this returned, or None."""
        path = self._newest()
        if path is None:
            return None
        try:
            found = path.stat()
        except FileNotFoundError:  # a training thins its checkpoints out; the next look finds another
            return None
        seen = (path.name, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return None
        self._seen = seen
        return path

    def _newest(self) -> Optional[Path]:
        checkpoints = list_checkpoints(self.folder / CHECKPOINTS)
        model = self.folder / "model.pt"
        if not checkpoints:
            return model if model.is_file() else None
        newest = checkpoints[0][1]
        if not model.is_file() or not newest.is_file():
            return newest
        return model if model.stat().st_mtime_ns >= newest.stat().st_mtime_ns else newest
