"""Models, datasets and outputs of a recording, in folders or in object storage, as files of this machine."""

from __future__ import annotations

import dataclasses
import posixpath
from pathlib import Path

from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.paths import existing_file, resolve
from parc_core.errors import DataError
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.dataset_file import (
    MotionEntry,
    MotionsFile,
    manifest_path,
    read_motions_yaml,
    write_motions_yaml,
)
from parc_core.pull import is_remote, kept_for, local_place
from parc_core.record import MOTIONS_FILE
from parc_core.recording.names import FOLDER
from parc_core.recording.result import FILE, load_recording
from parc_core.storage.store import Store
from parc_core.system import json_text


def dataset_on_this_machine(place: str, out: Path, where: str) -> Path:
    """The `motions.yaml` that a path or address means.

    Args:
        place: of a `motions.yaml`, or of the folder that holds one.
        out: the output folder; what is fetched goes there.
        where: what messages say the setting belongs to.

    Raises:
        ConfigError: there is no such file.
        DataError: a motion of it is missing, or lies in another bucket.
    """
    if is_remote(place):
        return _fetched(place, out)
    path = resolve(local_place(place))
    return existing_file(path / MOTIONS_FILE if path.is_dir() else path, "dataset_file", where)


def _fetched(address: str, out: Path) -> Path:
    """A dataset of an object store with its motions, which it names by their places in the same bucket."""
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    store, target = Store(f"{scheme}://{bucket}"), out / MOTIONS_FILE
    folder = posixpath.dirname(key)
    listing = store.get_file(key, out / ".fetched" / MOTIONS_FILE)
    found = read_motions_yaml(listing)
    if found.terrain is not None:
        raise DataError(f"{address}: has one terrain for all motions; fetch it and name the local file")
    keys = [_key(entry.file, store.url, folder, str(listing.parent), address) for entry in found.entries]
    names = [posixpath.basename(key) for key in keys]
    if len(set(names)) < len(names):  # else they are as the manifest knows them
        names = [f"{number:05d}_{name}" for number, name in enumerate(names)]
    copies = [out / "motions" / name for name in names]
    store.get_many([(key, copy, None) for key, copy in zip(keys, copies, strict=True)])
    manifest = posixpath.join(folder, manifest_path(key).name)
    if store.exists(manifest):
        store.get_file(manifest, manifest_path(target))
    entries = [
        MotionEntry(str(copy), entry.weight) for copy, entry in zip(copies, found.entries, strict=True)
    ]
    write_motions_yaml(target, MotionsFile(entries))
    return target


def _key(file: str, url: str, folder: str, beside: str, address: str) -> str:
    """The key of a motion in the bucket."""
    if file.startswith(f"{url}/"):
        return file[len(url) + 1 :]
    if file.startswith(f"{beside}/"):
        file = file[len(beside) + 1 :]
    if "://" in file or file.startswith("/"):
        raise DataError(f"{address}: names {file}, which is not in {url}; list motions by relative paths")
    return posixpath.normpath(posixpath.join(folder, file))


class Output:
    """The output folder, or this machine's copy of one in object storage.

    Attributes:
        folder: where files are written.
    """

    def __init__(self, place: str) -> None:
        self._store = Store(place) if is_remote(place) else None
        self.folder = kept_for(place) if self._store else Path(resolve(local_place(place))).absolute()
        if self._store is not None:
            self._fetch()

    def address(self, name: str) -> str:
        """Of a file or folder in it, for people."""
        return self._store.uri(name) if self._store else str(self.folder / name)

    def merge(self, config: DatasetConfig) -> tuple[Path, list[str]]:
        """The dataset of motion folders, made in the output folder; and a line for each file left out."""
        target = self.folder / MOTIONS_FILE
        built = create_dataset(dataclasses.replace(config, save_path=str(target)))
        listed = json_text.parse(Path(built["manifest"]).read_text(encoding="utf-8"))["rejected"]
        return target, [f"skipped: {item['path']}: {item['reason']}" for item in listed]

    def publish(self) -> None:
        """Sends what is new to the object storage."""
        if self._store is None:
            return
        files = [path for path in self.folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        recordings = (self.folder / FOLDER).rglob("*.pkl")
        last = [path for path in files if path.name == FILE]
        for part in ([*recordings, *(path for path in files if path not in last)], last):
            self._store.put_many([(path, path.relative_to(self.folder).as_posix()) for path in part])

    def _fetch(self) -> None:
        """What an earlier recording, perhaps on another machine, has left there."""
        assert self._store is not None
        if (self.folder / FILE).is_file() or not self._store.exists(FILE):
            return
        self._store.get_file(FILE, self.folder / FILE)
        found = load_recording(self.folder)
        recorded = [motion for motion in found.motions if motion.recorded] if found else []
        failed: dict[str, DataError] = {}
        self._store.get_many(
            [(motion.file, self.folder / motion.file, motion.sha256) for motion in recorded], failed=failed
        )
