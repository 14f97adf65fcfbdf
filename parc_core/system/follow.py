"""Following files that another process appends to: plain lines, and JSON objects one a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

from parc_core.system import json_text

Event = Dict[str, Any]


class Lines:
    """Follows a text file that another process appends to, from its present end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def new(self) -> List[bytes]:
        """The lines completed since the last call."""
        try:
            size = self._path.stat().st_size
            if size < self._offset:  # written anew
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
        return complete.splitlines()


class JsonLines(Lines):
    """Follows a file of JSON objects, one a line. Torn lines (kill -9) are left out."""

    def events(self) -> List[Event]:
        """The objects of the lines completed since the last call."""
        return [event for event in map(_parse, self.new()) if event is not None]


def _parse(line: bytes) -> Optional[Event]:
    try:
        event = json_text.parse(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
