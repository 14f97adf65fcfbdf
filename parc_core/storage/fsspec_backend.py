"""Files of a store at any fsspec URL; `s3` has what S3 can do better."""

from __future__ import annotations

import os
from typing import Any, Callable, List, Optional, Tuple, TypeVar

from parc_core.storage.backend import Files, Listed, changed_meanwhile
from parc_core.storage.keys import checked
from parc_core.storage.retry import Attempts, with_retries
from parc_core.system.files import PathLike, sha256_bytes, sha256_file

T = TypeVar("T")

_TAGS = ("ETag", "etag", "md5", "mtime", "last_modified")


class RemoteFiles(Files):
    """`Files` at a URL. Passing errors are tried again for a minute.

    fsspec has no conditional write for all stores: `create` and `replace` look first and write then, so that two
    callers within milliseconds may both believe to have won.
    """

    conditional = False

    def __init__(self, url: str, fs: Any, base: str) -> None:
        self.url = url
        self.base = base
        self._fs = fs

    def path(self, key: str) -> str:
        """What fsspec calls `key`."""
        return f"{self.base}/{checked(key)}"

    def attempt(self, call: Callable[[Attempts], T], key: str) -> T:
        """`with_retries` with the address of `key`."""
        return with_retries(call, self.uri(key))

    def read(self, key: str) -> Tuple[bytes, str]:
        data: bytes = self.attempt(lambda _: self._fs.cat_file(self.path(key)), key)
        return data, sha256_bytes(data)

    def download(self, key: str, target: PathLike) -> None:
        path = self.path(key)
        if not self.exists(key):  # some file systems make an empty file before they notice
            raise FileNotFoundError(self.uri(key))
        self.attempt(lambda _: self._fs.get_file(path, os.fspath(target)), key)

    def write(self, key: str, data: bytes) -> None:
        self.attempt(lambda _: self._fs.pipe_file(self.path(key), data), key)

    def upload(self, local: PathLike, key: str, sha256: str) -> None:
        self.attempt(lambda _: self._send(os.fspath(local), key, sha256), key)
        if sha256_file(local) != sha256:
            raise changed_meanwhile(local)

    def _send(self, local: str, key: str, sha256: str) -> None:
        self._fs.put_file(local, self.path(key))

    def known_sha256(self, key: str) -> Optional[str]:
        return None

    def exists(self, key: str) -> bool:
        return self.attempt(lambda _: bool(self._fs.isfile(self.path(key))), key)

    def size(self, key: str) -> int:
        return self.attempt(lambda _: int(self._fs.size(self.path(key))), key)

    def list(self, prefix: str) -> List[Listed]:
        top = self.path(prefix) if prefix else self.base
        try:
            found = self.attempt(lambda _: self._find(top), prefix)
        except FileNotFoundError:
            return []
        inside = top.rstrip("/") + "/"
        return [
            Listed(name[len(self.base) :].lstrip("/"), int(info.get("size") or 0), _tag(info))
            for name, info in found.items()
            if name.startswith(inside) and not name.endswith("/") and info.get("type") != "directory"
        ]

    def _find(self, top: str) -> Any:
        self._fs.invalidate_cache()
        return self._fs.find(top, detail=True)

    def create(self, key: str, data: bytes) -> bool:
        if self.exists(key):
            return False
        self.write(key, data)
        return True

    def replace(self, key: str, data: bytes, version: str) -> bool:
        try:
            if self.read(key)[1] != version:
                return False
        except FileNotFoundError:
            return False
        self.write(key, data)
        return True

    def delete(self, key: str) -> None:
        if self.exists(key):
            self.attempt(lambda _: self._fs.rm_file(self.path(key)), key)

    def delete_folder(self, prefix: str) -> None:
        if self.list(prefix):
            self.attempt(lambda _: self._fs.rm(self.path(prefix), recursive=True), prefix)


def _tag(info: Any) -> str:
    return next((str(info[name]).strip('"') for name in _TAGS if info.get(name)), "")
