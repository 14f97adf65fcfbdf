"""What a place for files has to offer to be a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from parc_core.errors import DataError
from parc_core.storage.transfers import Fetching, Wanted, accept, file_beside, in_threads, not_there
from parc_core.system.files import PathLike, sha256_file


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

    url: str
    """Address of the store."""

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

    def uri(self, key: str) -> str:
        """What messages call `key`."""
        return f"{self.url}/{key}" if key else self.url

    def fetch_many(self, wanted: Sequence[Wanted], fetching: Fetching) -> None:
        """Fetches files in parallel, each verified and whole or absent.

        Args:
            wanted: what; local files are replaced.
            fetching: gets what comes of each file, and is shown now and then in this thread.
        """
        in_threads(lambda item: fetching.settle(item[0], lambda: self._fetch(item)), wanted, fetching)

    def _fetch(self, item: Wanted) -> str:
        key, target, sha256 = item
        with file_beside(Path(target)) as temp:
            try:
                self.download(key, temp)
                return accept(temp, target, self.uri(key), sha256, sha256_file(temp))
            except FileNotFoundError:
                raise not_there(self.uri(key)) from None


def changed_meanwhile(local: PathLike) -> DataError:
    """The error for a file that something writes to while it is stored."""
    return DataError(f"{local}: changed while it was stored; store it when nothing writes to it")
