"""Files of a store that is a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from parc_core.errors import ConfigError
from parc_core.storage.backend import Files, Listed, changed_meanwhile
from parc_core.storage.keys import checked
from parc_core.system.files import (
    PathLike,
    atomic_write,
    cut_bytes,
    remove_stale,
    sha256_bytes,
    sha256_file,
    unwritable,
    write_bytes,
)
from parc_core.system.locks import locked

_LOCK = ".lock"


class FolderFiles(Files):
    """`Files` below a folder of this machine or of a network mount."""

    conditional = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = root.as_uri()

    def path(self, key: str) -> Path:
        """Where `key` lies."""
        return self.root / checked(key)

    def read(self, key: str) -> Tuple[bytes, str]:
        data = self.path(key).read_bytes()
        return data, sha256_bytes(data)

    def download(self, key: str, target: PathLike) -> None:
        shutil.copyfile(self.path(key), target)

    def write(self, key: str, data: bytes) -> None:
        write_bytes(self.path(key), data)

    def upload(self, local: PathLike, key: str, sha256: str) -> None:
        with atomic_write(self.path(key)) as target, open(local, "rb") as source:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            if sha256_file(target.name) != sha256:
                raise changed_meanwhile(local)

    def known_sha256(self, key: str) -> Optional[str]:
        path = self.path(key)
        return sha256_file(path) if path.is_file() else None

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def size(self, key: str) -> int:
        path = self.path(key)
        if not path.is_file():
            raise FileNotFoundError(path)
        return path.stat().st_size

    def list(self, prefix: str) -> List[Listed]:
        top = self.path(prefix) if prefix else self.root
        found = []
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):  # removed by another process meanwhile
                    if remove_stale(path):
                        continue
                    stat = path.stat()
                    tag = f"{stat.st_mtime_ns}:{stat.st_ctime_ns}"
                    found.append(Listed(path.relative_to(self.root).as_posix(), stat.st_size, tag))
        return found

    def create(self, key: str, data: bytes) -> bool:
        path = self.path(key)
        temp = path.parent / f".{cut_bytes(path.name, 100)}.{uuid.uuid4().hex[:8]}.new"
        write_bytes(temp, data)
        try:
            os.link(temp, path)  # fails where there is a file, unlike a rename
        except FileExistsError:
            return False
        except OSError:
            return _create_without_links(path, data)
        finally:
            temp.unlink()
        return True

    def replace(self, key: str, data: bytes, version: str) -> bool:
        path = self.path(key)
        if not path.parent.is_dir():
            return False
        with _locked(path.parent):
            if not path.is_file() or sha256_file(path) != version:
                return False
            write_bytes(path, data)
        return True

    def delete(self, key: str) -> None:
        path = self.path(key)
        if not path.is_file():
            return
        try:
            with _locked(path.parent):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error

    def delete_folder(self, prefix: str) -> None:
        folder = self.path(prefix)
        try:
            if folder.is_dir():
                shutil.rmtree(folder)
        except OSError as error:
            raise unwritable(folder, error) from error


def _create_without_links(path: Path, data: bytes) -> bool:
    """For file systems without hard links: others may see the file before its content is whole."""
    try:
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    except OSError as error:
        raise unwritable(path, error) from error
    return True


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time in `folder`."""
    try:
        lock = open(folder / _LOCK, "a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be written ({error.strerror}); set PARC_STORE elsewhere"
        ) from error
    with locked(lock):
        yield
