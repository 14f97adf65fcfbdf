"""Files and small JSON pointers under one URL: a folder by default, S3 or any fsspec URL for teams."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple, Union

from parc_core.errors import ConfigError, DataError
from parc_core.storage.addresses import local_root, normalized
from parc_core.storage.backend import Files, Listed
from parc_core.storage.folder import FolderFiles
from parc_core.storage.keys import checked, is_hidden, is_safe
from parc_core.storage.redact import masked
from parc_core.storage.transfers import (
    Counter,
    Failed,
    Fetched,
    Fetching,
    Progress,
    Wanted,
    damaged,
    in_threads,
    not_there,
)
from parc_core.system import json_text
from parc_core.system.files import PathLike, atomic_write, dump_json, sha256_bytes, sha256_file

Ref = Dict[str, str]
"""`{"uri": where, "sha256": of the content}`: what stages hand to each other."""

LIST_FIRST_ABOVE = 50
"""Files from which on it pays to list what is there before they are put."""

DEFAULT_URL = os.path.join(".parc", "store")


class Store:
    """A tree of files by key (`models/tracker/3/model.pt`), alike on a folder, `s3://` and other fsspec URLs.

    Each file appears whole or not at all; what is read against a SHA-256 is checked. Write content first and
    the JSON that points to it last, and no reader ever sees a pointer to something missing.

    Every method that talks to a remote store may raise `StoreUnreachable` (no answer for a minute) or `ConfigError`
    (credentials, bucket or request refused).
    """

    def __init__(self, url: Optional[Union[str, PathLike]] = None) -> None:
        """Open the store at `url`, else at `$PARC_STORE`, else in `./.parc/store`. Nothing is written yet.

        Raises:
            ConfigError: the URL's protocol is unknown here (its package is missing).
        """
        text = os.fspath(url) if url is not None else os.environ.get("PARC_STORE") or DEFAULT_URL
        self.root: Optional[Path] = local_root(text)
        """Folder of a local store, None of a remote one."""
        self._files: Files
        if self.root is not None:
            self._files = FolderFiles(self.root)
        else:
            self._files = open_remote(text)
        self.url = self._files.url

    @property
    def conditional(self) -> bool:
        """Whether `create` and `replace` have exactly one winner here: on folders and S3, not on other fsspec URLs."""
        return self._files.conditional

    def uri(self, key: str) -> str:
        """The full address of `key`."""
        return f"{self.url}/{checked(key)}"

    def key_of(self, uri: str) -> str:
        """The key of an address in this store.

        Raises:
            DataError: it lies in another store.
        """
        if not uri.startswith(self.url + "/"):
            raise DataError(
                f"{masked(uri)}: not in the store {self.url}; set PARC_STORE to the store that holds it"
            )
        return checked(uri[len(self.url) + 1 :])

    def put_file(self, local: PathLike, key: str, skip_if_same: bool = True) -> Ref:
        """Copy the file `local` to `key`.

        Args:
            local: what to store.
            key: where to.
            skip_if_same: do not send what lies there already with the same SHA-256.

        Raises:
            DataError: no such file, or it changes while it is read.
            ConfigError: the store cannot be written.
        """
        if not os.path.isfile(local):
            raise DataError(f"{local}: no such file to store as {key}")
        sha256 = sha256_file(local)
        if not (skip_if_same and self._files.known_sha256(key) == sha256):
            self._files.upload(local, checked(key), sha256)
        return {"uri": self.uri(key), "sha256": sha256}

    def put_many(
        self, pairs: Sequence[Tuple[PathLike, str]], progress: Optional[Progress] = None
    ) -> Dict[str, Ref]:
        """`put_file` of several (local file, key) at a time.

        Returns:
            Reference by key.
        """
        refs: Dict[str, Ref] = {}
        counter = Counter(len(pairs), progress)
        maybe_there = self._listed_among([key for _, key in pairs])

        def put(pair: Tuple[PathLike, str]) -> None:
            refs[pair[1]] = self.put_file(*pair, skip_if_same=pair[1] in maybe_there)
            counter.one_more()

        in_threads(put, pairs, counter)
        counter.show()
        return refs

    def _listed_among(self, keys: Sequence[str]) -> Set[str]:
        """Which of these keys may be there: one listing instead of a question for each of many."""
        folders = {checked(key).rpartition("/")[0] for key in keys}
        if len(keys) < LIST_FIRST_ABOVE or len(folders) > len(keys) // 10:
            return set(keys)
        common = os.path.commonpath(list(folders)) if all(folders) else ""
        return set(keys).intersection(item.key for item in self.list_details(common, hidden=True))

    def put_bytes(self, data: bytes, key: str) -> Ref:
        """Write `data` to `key`."""
        self._files.write(checked(key), data)
        return {"uri": self.uri(key), "sha256": sha256_bytes(data)}

    def put_json(self, value: Any, key: str) -> Ref:
        """Write `value` as JSON to `key`."""
        return self.put_bytes(dump_json(value).encode("utf-8"), key)

    def create(self, key: str, data: bytes) -> bool:
        """Write `data` to `key` if nothing is there.

        Returns:
            Whether it was written: True for exactly one of several callers where `conditional`; elsewhere two
            callers within milliseconds may both see True. Let each caller's data differ (an id of its own).
        """
        return self._files.create(checked(key), data)

    def read_versioned(self, key: str) -> Optional[Tuple[bytes, str]]:
        """Content of `key` with its version for `replace`, or None where there is nothing."""
        try:
            return self._files.read(checked(key))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def replace(self, key: str, data: bytes, version: str) -> bool:
        """Write `data` to `key` if it still is at `version` (compare and swap).

        Returns:
            Whether it was; as sure as `create`.
        """
        return self._files.replace(checked(key), data, version)

    def delete(self, key: str) -> None:
        """Remove `key`; no matter whether it was there."""
        self._files.delete(checked(key))

    def delete_folder(self, prefix: str) -> None:
        """Remove all keys below the folder `prefix`."""
        self._files.delete_folder(checked(prefix))

    def size(self, key: str) -> int:
        """Bytes of `key`.

        Raises:
            DataError: not in the store.
        """
        try:
            return self._files.size(checked(key))
        except FileNotFoundError:
            raise not_there(self.uri(key)) from None

    def get_file(self, key: str, local: PathLike, sha256: Optional[str] = None) -> Path:
        """Copy `key` to the file `local`, whole or not at all.

        Args:
            key: what to fetch.
            local: where to; an existing file is replaced.
            sha256: what the content must be.

        Raises:
            DataError: not in the store, or its content is not what `sha256` says.
            ConfigError: `local` cannot be written.
        """
        target = Path(local)
        try:
            with atomic_write(target) as file:
                self._files.download(checked(key), file.name)
                found = sha256_file(file.name)
                if sha256 is not None and found != sha256:
                    raise damaged(self.uri(key), sha256, found)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise not_there(self.uri(key)) from None
        return target

    def get_many(
        self, wanted: Sequence[Wanted], progress: Optional[Progress] = None, failed: Optional[Failed] = None
    ) -> Fetched:
        """Fetch (key, local file, SHA-256 or None) in parallel, each verified and whole or absent.

        Args:
            wanted: what; local files are replaced.
            progress: called with (done, total).
            failed: where given, what is missing or damaged is noted here by key and stops nothing.

        Returns:
            SHA-256 by key.

        Raises:
            DataError: a file is missing or damaged, and `failed` is None.
        """
        for key, _, _ in wanted:
            checked(key)
        fetching = Fetching(len(wanted), progress, failed)
        self._files.fetch_many(wanted, fetching)
        fetching.show()
        return fetching.found

    def read_bytes(self, key: str, sha256: Optional[str] = None) -> bytes:
        """The content of `key`, checked where `sha256` is given.

        Raises:
            DataError: as `get_file`.
        """
        found = self.read_versioned(key)
        if found is None:
            raise not_there(self.uri(key))
        data = found[0]
        if sha256 is not None and sha256_bytes(data) != sha256:
            raise damaged(self.uri(key), sha256, sha256_bytes(data))
        return data

    def read_json(self, key: str, sha256: Optional[str] = None) -> Any:
        """The JSON value of `key`.

        Raises:
            DataError: as `get_file`, or not JSON.
        """
        try:
            return json_text.parse(self.read_bytes(key, sha256))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.uri(key)}: not JSON ({error}); the file is damaged") from error

    def exists(self, key: str) -> bool:
        """Whether `key` is there."""
        return self._files.exists(checked(key))

    def list(self, prefix: str = "") -> List[str]:
        """Sorted keys below the folder `prefix`; unfinished files are not listed."""
        return [item.key for item in self.list_details(prefix)]

    def list_details(self, prefix: str = "", hidden: bool = False) -> List[Listed]:
        """`list` with sizes and tags that change with the content; where `hidden`, with names that begin with a dot.

        Keys that could leave a folder are not listed; they are named in the log.
        """
        found = []
        for item in self._files.list(checked(prefix) if prefix else ""):
            if not is_safe(item.key):
                logging.getLogger(__name__).warning(
                    "%s: a key that leaves its folder, not looked at: %r", self.url, item.key
                )
            elif hidden or not is_hidden(item.key):
                found.append(item)
        return sorted(found, key=lambda item: item.key)


def open_remote(url: str) -> Files:
    """The files at an fsspec URL.

    Raises:
        ConfigError: an unknown protocol, a missing package, or not an address (see `normalized`).
    """
    url = normalized(url)
    shown = masked(url)
    if url.startswith(("s3://", "s3a://")):
        from parc_core.storage.s3 import open_s3

        return open_s3(url)
    try:
        from fsspec.core import url_to_fs

        from parc_core.storage.fsspec_backend import RemoteFiles
    except ImportError as error:
        raise ConfigError(f"store '{shown}': needs fsspec; install parc-tracker[pipeline]") from error
    try:
        fs, base = url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"store '{shown}': cannot be opened ({masked(str(error))})") from error
    return RemoteFiles(url, fs, base.rstrip("/"))
