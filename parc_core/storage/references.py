"""References to files (`{"uri": …, "sha256": …}`) that mean the same on every machine, and the files themselves.

In a local store a reference is the file's own address. In any other store it is an address in the store: the file is
put there when the reference is made, and fetched into the work folder, verified, where it is used.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple
from urllib.parse import urlparse
from urllib.request import url2pathname

from parc_core.errors import DataError
from parc_core.storage.store import Ref, Store
from parc_core.storage.transfers import Wanted
from parc_core.system.files import PathLike, content_sha256


def file_ref(path: PathLike, key: Optional[str] = None) -> Ref:
    """Reference to a file on this machine; it is put into a store that other machines see.

    Args:
        path: the file.
        key: where in such a store; by default its place in the work folder, or `files/` for one from elsewhere.

    Raises:
        DataError: no such file.
        ConfigError, StoreUnreachable: the store cannot be written.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise DataError(f"{path}: no such file; make it again")
    store = Store()
    if store.root is not None:
        return {"uri": path.as_uri(), "sha256": content_sha256(path)}
    return store.put_file(path, key or _key_of(path, work_folder(store)))


def _key_of(path: Path, work: Path) -> str:
    if work in path.parents:
        return path.relative_to(work).as_posix()
    return f"files/{content_sha256(path)[:16]}/{path.name}"


def local_path(ref: Ref) -> Path:
    """The file that a reference means, on this machine: fetched and verified where it is not here yet.

    Raises:
        DataError: it lies in another store, is gone, or is damaged.
        StoreUnreachable: the store does not answer.
    """
    if ref["uri"].startswith("file:"):
        return Path(url2pathname(urlparse(ref["uri"]).path))
    store = Store()
    key = store.key_of(ref["uri"])
    path = work_folder(store) / key
    if path.is_file() and content_sha256(path) == ref["sha256"]:
        return path
    return store.get_file(key, path, ref["sha256"])


def references(value: Any) -> Iterator[Ref]:
    """All references inside a result, at any depth."""
    if isinstance(value, dict):
        if value.keys() == {"uri", "sha256"}:
            yield value
        else:
            for item in value.values():
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def missing(result: Any) -> Optional[str]:
    """The first file that a result refers to and that is gone or changed, or None.

    What is not on this machine yet is fetched, which verifies it. Of what is, the store has to hold as many bytes.
    """
    for ref in references(result):
        if not _is_there(ref):
            return ref["uri"]
    return None


def _is_there(ref: Ref) -> bool:
    try:
        path = local_path(ref)
        if not path.is_file() or content_sha256(path) != ref["sha256"]:
            return False
        store = Store()
        if ref["uri"].startswith("file:"):
            return True
        return store.size(store.key_of(ref["uri"])) == path.stat().st_size
    except DataError:
        return False


def publish(files: Iterable[Tuple[str, Path, str]]) -> None:
    """Puts many files of the work folder into a store that other machines see; what is there already is not sent.

    Args:
        files: (key, local file, SHA-256) of each.
    """
    store = Store()
    if store.root is None:
        store.put_many([(path, key) for key, path, _ in files])


def fetch(files: Sequence[Tuple[str, Path, str]]) -> List[str]:
    """Gets those of many files that are not in the work folder yet, verified.

    Args:
        files: (key, local file, SHA-256) of each.

    Returns:
        Keys that are gone or damaged in the store.
    """
    store = Store()
    wanted: List[Wanted] = [
        item for item in files if not (item[1].is_file() and content_sha256(item[1]) == item[2])
    ]
    if store.root is not None:
        return [item[0] for item in wanted]
    failed: Dict[str, DataError] = {}
    store.get_many(wanted, failed=failed)
    return sorted(failed)


def work_folder(store: Optional[Store] = None) -> Path:
    """Where this machine keeps the store's files to work on.

    A local store (`PARC_STORE`, else `.parc/store`) itself; for any other store a partial copy of it by key in
    `$PARC_WORK`, else in `~/.cache/parc-tracker/work/<hash of the store's URL>`. It can be deleted when nothing
    runs: all but the trainings since their last mirrored checkpoint is in the store.
    """
    store = store or Store()
    if store.root is not None:
        return store.root
    given = os.environ.get("PARC_WORK")
    if given:
        return Path(os.path.expanduser(given)).absolute()
    name = hashlib.sha256(store.url.encode()).hexdigest()[:16]
    return Path.home() / ".cache" / "parc-tracker" / "work" / name
