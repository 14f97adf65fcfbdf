"""Motion files as inputs of a merge: what counts as one, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from parc_core.system.files import printable_name

MARKER = ".parc-merged"
"""Lies in every folder of copies; such a folder is never an input, even inside an input folder."""


@dataclass(frozen=True)
class InputFile:
    """A motion file found below a root."""

    path: str
    """Absolute, or an address (`s3://…`)."""
    motion_class: str
    """First folder below the root; empty for a file that lies in the root itself."""
    relative: str
    """Below the root, with forward slashes."""
    sha256: str = ""
    """Content of a remote file, as it is known from its last fetch; empty for local files."""
    size: int = 0
    """Bytes of a remote file."""
    error: str = ""
    """Why a remote file cannot be had."""

    @property
    def shown(self) -> str:
        """The path for messages and JSON, whatever bytes it holds."""
        return printable_name(self.path)

    @property
    def is_remote(self) -> bool:
        """Whether it lies in an object store; its bytes are then in the local cache (`remote_motions`)."""
        return "://" in self.path

    @property
    def root(self) -> str:
        """Address or folder of the root."""
        return self.path[: -len(self.relative) - 1]


SUFFIXES = (".pkl", ".npz")
"""Of motion files; an .npz is not read, but named among the files that are left out."""


Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""


def is_skipped(folder: str) -> bool:
    """Whether a folder of this name is not an input."""
    return "ignore" in folder or folder.startswith((".", "__pycache__"))
