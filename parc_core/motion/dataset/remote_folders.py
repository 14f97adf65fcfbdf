"""Motion folders in an object store: listed, fetched at once, and kept in the local cache by their content.

What each file held at its last fetch is noted beside the cache, by address, size and ETag: an unchanged file is not
fetched again, and one that lies in two places is kept once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from parc_core.errors import DataError
from parc_core.motion.dataset.inputs import MARKER, InputFile, Progress, is_skipped
from parc_core.storage.backend import Listed
from parc_core.storage.cache import LocalCache
from parc_core.storage.store import Store
from parc_core.storage.transfers import Failed
from parc_core.system.files import printable_name, write_text

BATCH = 2000
"""Files fetched before it is noted that they are there: what an interruption costs at most."""

Known = Dict[str, Tuple[str, int, str]]
"""Tag, size and SHA-256 by key."""


def find_remote(url: str, progress: Optional[Progress] = None) -> List[InputFile]:
    """Every `.pkl` below an address, with its content's hash; new and changed ones are fetched.

    A file that cannot be had (it vanished, or is damaged) is listed with its error.

    Raises:
        DataError: nothing lies there.
        ConfigError, StoreUnreachable: the store cannot be had.
    """
    store = Store(url)
    listed = store.list_details(hidden=True)
    if not listed:
        raise DataError(f"folder_paths: {store.url}: nothing lies there; check the address")
    cache, index = LocalCache(), _Index(store.url)
    motions = _motions(listed)
    todo = [item for item in motions if index.known(item) is None]
    failed = _fetch(store, cache, index, todo, progress)
    files = []
    for item in motions:
        known = index.known(item)
        error = "" if known is not None else str(failed.get(item.key, "vanished while being fetched"))
        motion_class = printable_name(item.key.split("/")[0]) if "/" in item.key else ""
        path = f"{store.url}/{item.key}"
        files.append(InputFile(path, motion_class, item.key, known or "", item.size, _reason(error, path)))
    return files


def ensure_cached(files: Sequence[InputFile], progress: Optional[Progress] = None) -> Dict[str, InputFile]:
    """Make sure that remote files are in the cache; those that were removed from it are fetched again.

    Returns:
        Those that cannot be had, by path, with their error.
    """
    cache = LocalCache()
    missing: Dict[str, List[InputFile]] = {}
    for file in files:
        if file.is_remote and not file.error and cache.find(file.sha256, file.size) is None:
            missing.setdefault(file.root, []).append(file)
    lost = {}
    for root, those in missing.items():
        store, index = Store(root), _Index(root)
        listed = [Listed(file.relative, file.size, index.tag(file.relative)) for file in those]
        failed = _fetch(store, cache, index, listed, progress, {file.relative: file.sha256 for file in those})
        for file in those:
            if file.relative in failed:
                error = _reason(str(failed[file.relative]), file.path)
                lost[file.path] = dataclasses.replace(file, error=error)
    return lost


def local_file(file: InputFile) -> Path:
    """Where the bytes of an input file lie on this machine."""
    return LocalCache().path(file.sha256) if file.is_remote else Path(file.path)


def _motions(listed: Sequence[Listed]) -> List[Listed]:
    copies = {item.key[: -len(MARKER)] for item in listed if f"/{item.key}".endswith(f"/{MARKER}")}
    return [
        item
        for item in listed
        if item.key.endswith(".pkl")
        and not any(is_skipped(part) for part in item.key.split("/")[:-1])
        and not any(item.key.startswith(folder) for folder in copies)
    ]


def _reason(error: str, path: str) -> str:
    return error[len(path) + 2 :] if error.startswith(f"{path}: ") else error


def _fetch(
    store: Store,
    cache: LocalCache,
    index: _Index,
    items: Sequence[Listed],
    progress: Optional[Progress],
    contents: Optional[Dict[str, str]] = None,
) -> Failed:
    """Files into the cache, and what they hold into the index."""
    failed: Failed = {}
    what = f"fetching motions from {store.url}"

    for begin in range(0, len(items), BATCH):
        batch = items[begin : begin + BATCH]

        def report(done: int, _: int, begin: int = begin) -> None:
            if progress is not None:
                progress(begin + done, len(items), what)

        with cache.incoming() as folder:
            wanted = [
                (item.key, folder / str(number), (contents or {}).get(item.key))
                for number, item in enumerate(batch)
            ]
            found = store.get_many(wanted, report, failed)
            for item, (_, path, _) in zip(batch, wanted):
                if item.key in found:
                    cache.insert(path, found[item.key])
                    index.record(item, found[item.key])
        index.save()
    if items:
        cache.trim()
    return failed


class _Index:
    """What lay at each address at its last fetch; a missing or broken index costs time alone."""

    def __init__(self, url: str) -> None:
        name = hashlib.sha256(url.encode("utf-8")).hexdigest()[:16]
        self._path = LocalCache().folder / "remote" / f"{name}.json"
        self._known: Known = {}
        try:
            for key, (tag, size, sha256) in json.loads(self._path.read_text(encoding="utf-8")).items():
                self._known[key] = (str(tag), int(size), str(sha256))
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            self._known = {}

    def known(self, item: Listed) -> Optional[str]:
        """SHA-256 of an unchanged file, or None. A store that gives no tags has only changed files."""
        tag, size, sha256 = self._known.get(item.key, ("", -1, ""))
        return sha256 if item.tag and (tag, size) == (item.tag, item.size) else None

    def tag(self, key: str) -> str:
        """The tag at the last fetch."""
        return self._known.get(key, ("", 0, ""))[0]

    def record(self, item: Listed, sha256: str) -> None:
        """A file that was fetched."""
        self._known[item.key] = (item.tag, item.size, sha256)

    def save(self) -> None:
        """Write it."""
        write_text(self._path, json.dumps(self._known, separators=(",", ":")))
