"""Files and small JSON pointers under one URL: a folder by default, any fsspec URL for teams."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from parc_core.errors import ConfigError, DataError
from parc_core.storage.atomic import PathLike, atomic_write, dump_json, sha256_bytes, sha256_file, write_bytes

Ref = Dict[str, str]
"""`{"uri": where, "sha256": of the content}`: what stages hand to each other."""

DEFAULT_URL = os.path.join(".parc", "store")


class Store:
    """A tree of files by key (`models/tracker/3/model.pt`).

    Each file appears whole or not at all; what is read against a SHA-256 is checked. Write content first and
    the JSON that points to it last, and no reader ever sees a pointer to something missing.
    """

    def __init__(self, url: Optional[Union[str, PathLike]] = None) -> None:
        """Open the store at `url`, else at `$PARC_STORE`, else in `./.parc/store`. Nothing is written yet.

        Raises:
            ConfigError: the URL's protocol is unknown here (its package is missing).
        """
        text = os.fspath(url) if url is not None else os.environ.get("PARC_STORE") or DEFAULT_URL
        self.root: Optional[Path] = _local_root(text)
        """Folder of a local store, None of a remote one."""
        self._fs: Any = None
        if self.root is not None:
            self.url = self.root.as_uri()
        else:
            self.url = text.rstrip("/")
            self._fs, self._base = _open_remote(self.url)

    def uri(self, key: str) -> str:
        """The full address of `key`."""
        return f"{self.url}/{_checked(key)}"

    def key_of(self, uri: str) -> str:
        """The key of an address in this store.

        Raises:
            DataError: it lies in another store.
        """
        if not uri.startswith(self.url + "/"):
            raise DataError(f"{uri}: not in the store {self.url}; set PARC_STORE to the store that holds it")
        return _checked(uri[len(self.url) + 1 :])

    def put_file(self, local: PathLike, key: str) -> Ref:
        """Copy the file `local` to `key`.

        Raises:
            DataError: no such file, or it changes while it is read.
            ConfigError: the store cannot be written.
        """
        if not os.path.isfile(local):
            raise DataError(f"{local}: no such file to store as {key}")
        sha256 = sha256_file(local)
        if self.root is not None:
            with atomic_write(self.root / _checked(key)) as target, open(local, "rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                if sha256_file(target.name) != sha256:
                    raise DataError(
                        f"{local}: changed while it was stored; store it when nothing writes to it"
                    )
        else:
            self._fs.put_file(os.fspath(local), self._path(key))
        return {"uri": self.uri(key), "sha256": sha256}

    def put_bytes(self, data: bytes, key: str) -> Ref:
        """Write `data` to `key`."""
        if self.root is not None:
            write_bytes(self.root / _checked(key), data)
        else:
            self._fs.pipe_file(self._path(key), data)
        return {"uri": self.uri(key), "sha256": sha256_bytes(data)}

    def put_json(self, value: Any, key: str) -> Ref:
        """Write `value` as JSON to `key`."""
        return self.put_bytes(dump_json(value).encode("utf-8"), key)

    def get_file(self, key: str, local: PathLike, sha256: Optional[str] = None) -> Path:
        """Copy `key` to the file `local`, whole or not at all.

        Args:
            key: what to fetch.
            local: where to; an existing file is replaced.
            sha256: what the content must be.

        Raises:
            DataError: not in the store, or its content is not what `sha256` says.
        """
        target = Path(local)
        with atomic_write(target) as file:
            self._stream(key, file)
            file.flush()
            found = sha256_file(file.name)
            if sha256 is not None and found != sha256:
                raise _damaged(self.uri(key), sha256, found)
        return target

    def get_ref(self, ref: Ref, local: PathLike) -> Path:
        """`get_file` of a reference, verified."""
        return self.get_file(self.key_of(ref["uri"]), local, ref["sha256"])

    def read_bytes(self, key: str, sha256: Optional[str] = None) -> bytes:
        """The content of `key`, checked where `sha256` is given.

        Raises:
            DataError: as `get_file`.
        """
        with tempfile.TemporaryFile() as file:
            self._stream(key, file)
            file.seek(0)
            data = file.read()
        if sha256 is not None and sha256_bytes(data) != sha256:
            raise _damaged(self.uri(key), sha256, sha256_bytes(data))
        return data

    def read_json(self, key: str, sha256: Optional[str] = None) -> Any:
        """The JSON value of `key`.

        Raises:
            DataError: as `get_file`, or not JSON.
        """
        try:
            return json.loads(self.read_bytes(key, sha256).decode("utf-8"))
        except ValueError as error:
            raise DataError(f"{self.uri(key)}: not JSON ({error}); the file is damaged") from error

    def exists(self, key: str) -> bool:
        """Whether `key` is there."""
        if self.root is not None:
            return (self.root / _checked(key)).is_file()
        return bool(self._fs.isfile(self._path(key)))

    def list(self, prefix: str = "") -> List[str]:
        """Sorted keys below the folder `prefix`; unfinished files are not listed."""
        if self.root is not None:
            top = self.root / _checked(prefix) if prefix else self.root
            paths = top.rglob("*") if top.is_dir() else ()
            found = [path.relative_to(self.root).as_posix() for path in paths if path.is_file()]
        else:
            top_path = self._path(prefix) if prefix else self._base
            with contextlib.suppress(FileNotFoundError):
                self._fs.invalidate_cache()
            found = [path[len(self._base) :].lstrip("/") for path in self._fs.find(top_path)]
        return sorted(key for key in found if not key.rpartition("/")[2].startswith("."))

    def claim(self, key: str) -> bool:
        """Take the folder `key` for oneself: True for exactly one caller on a local store.

        Object storage has no such step: there it says whether the folder looks unused.

        Raises:
            ConfigError: the store cannot be written.
        """
        if self.root is None:
            return not self.list(key)
        folder = self.root / _checked(key)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            return False
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(f"{folder}: cannot be written ({reason}); set PARC_STORE elsewhere") from error
        return True

    def _stream(self, key: str, target: Any) -> None:
        try:
            if self.root is not None:
                with open(self.root / _checked(key), "rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
            else:
                with self._fs.open(self._path(key), "rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise DataError(f"{self.uri(key)}: not in the store; check the name and PARC_STORE") from None

    def _path(self, key: str) -> str:
        return f"{self._base}/{_checked(key)}"


def _local_root(url: str) -> Optional[Path]:
    """The folder that a plain path or a file URL means, None for other URLs."""
    if url.startswith("file:"):
        from urllib.parse import urlparse
        from urllib.request import url2pathname

        parsed = urlparse(url)
        if parsed.netloc not in ("", "localhost"):
            raise ConfigError(f"store '{url}': a file URL is written file:///folder")
        return Path(url2pathname(parsed.path)).absolute()
    if "://" in url:
        return None
    return Path(os.path.expanduser(url)).absolute()


def _open_remote(url: str) -> Any:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ConfigError(f"store '{url}': needs fsspec; install parc-tracker[pipeline]") from error
    try:
        fs, base = url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"store '{url}': cannot be opened ({error})") from error
    return fs, base.rstrip("/")


def _checked(key: str) -> str:
    """A key as it is, or an error: it must stay inside the store."""
    if not key or key.startswith("/") or "\\" in key or any(p in ("", ".", "..") for p in key.split("/")):
        raise DataError(f"store key {key!r}: must be a relative path with forward slashes, without '..'")
    return key


def _damaged(uri: str, wanted: str, found: str) -> DataError:
    return DataError(
        f"{uri}: damaged, its SHA-256 is {found[:12]}… and not {wanted[:12]}…; delete it and make it again"
    )
