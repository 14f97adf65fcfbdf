"""What a place for files has to offer to be a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from parc_core.errors import DataError
from parc_core.system.files import PathLike

Progress = Callable[[int, int], None]
"""Called with (done, total), in the caller's thread."""

Wanted = Tuple[str, PathLike, Optional[str]]
"""Key, local file, SHA-256 or None."""


@dataclass(frozen=True)
class Listed:
    """A file in a listing."""

    key: str
    size: int
    """Bytes."""
    tag: str
    """Changes with the content (ETag, or the times of a file); empty where the store knows none."""


class Files:
    """Files by key. What is not there raises FileNotFoundError; writes appear whole or not at all."""

    conditional: bool = False
    """Whether `create` and `replace` are one step: of several callers exactly one wins."""

    def read(self, key: str) -> Tuple[bytes, str]:
        """Content and version of `key`."""
        raise NotImplementedError

    def download(self, key: str, target: PathLike) -> None:
        """Content of `key` into the file `target`, which the caller makes appear."""
        raise NotImplementedError

    def write(self, key: str, data: bytes) -> None:
        """Put `data` at `key`."""
        raise NotImplementedError

    def upload(self, local: PathLike, key: str, sha256: str) -> None:
        """Put the file `local`, whose content has that SHA-256, at `key`."""
        raise NotImplementedError

    def known_sha256(self, key: str) -> Optional[str]:
        """SHA-256 of what lies at `key` as far as it is known without fetching it, else None."""
        raise NotImplementedError

    def exists(self, key: str) -> bool:
        """Whether there is a file."""
        raise NotImplementedError

    def size(self, key: str) -> int:
        """Bytes."""
        raise NotImplementedError

    def list(self, prefix: str) -> List[Listed]:
        """All files below the folder `prefix` ("" = all), in any order."""
        raise NotImplementedError

    def create(self, key: str, data: bytes) -> bool:
        """Write `data` where nothing is yet; whether that was so."""
        raise NotImplementedError

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """Write `data` where `version` lies; whether that was so."""
        raise NotImplementedError

    def delete(self, key: str) -> None:
        """Remove `key` where it is there."""
        raise NotImplementedError

    def delete_folder(self, prefix: str) -> None:
        """Remove all below `prefix`."""
        raise NotImplementedError


def damaged(uri: str, wanted: str, found: str) -> DataError:
    """The error for content that is not what it should be."""
    return DataError(
        f"{uri}: damaged, its SHA-256 is {found[:12]}… and not {wanted[:12]}…; delete it and make it again"
    )


def not_there(uri: str) -> DataError:
    """The error for what is not in the store."""
    return DataError(f"{uri}: not in the store; check the name and PARC_STORE")


Fetched = Dict[str, str]
"""SHA-256 by key."""

Failed = Dict[str, DataError]
"""Why a file could not be had, by key."""

Pairs = Sequence[Wanted]
