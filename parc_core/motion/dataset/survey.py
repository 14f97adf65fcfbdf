"""What lies in motion folders, read and judged: what a merge would keep, and why not the rest (spec section 2)."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Tuple

from parc_core.config.paths import resolve
from parc_core.errors import ConfigError
from parc_core.motion.dataset.file_index import (
    CONTENT_STAMP,
    FileFacts,
    FileIndex,
    content_name,
    default_index_path,
    inspect_stamped,
)
from parc_core.motion.dataset.inputs import InputFile, Progress
from parc_core.motion.dataset.merge_result import Duplicate, MergedMotion, Rejected
from parc_core.motion.dataset.remote_folders import ensure_cached, local_file
from parc_core.motion.dataset.sources import find_motions
from parc_core.motion.skeleton import Skeleton
from parc_core.storage.cache import LocalCache
from parc_core.system.files import PathLike, cut_bytes, printable_name
from parc_core.system.processes import map_files

if TYPE_CHECKING:
    from parc_core.config.dataset_config import DatasetConfig

DEFAULT_BODIES = 15


@dataclass(frozen=True)
class Survey:
    """What lies in motion folders, and what a merge keeps of it; nothing is copied yet."""

    classes: List[str]
    """Sorted."""
    files: List[InputFile]
    """All of them."""
    facts: Dict[str, FileFacts]
    """Of every file by its path."""
    kept: List[InputFile]
    rejected: List[Rejected]
    duplicates: List[Duplicate]
    num_read: int
    """Files that had to be read; the others were known."""
    index: FileIndex
    """Of what is known of files, not saved yet."""

    def motions(self) -> List[MergedMotion]:
        """The kept ones as a merge names them, sorted by class and name."""
        return _named(self.kept, self.facts)

    def fingerprint(self) -> str:
        """SHA-256 over path below its root and content of every file."""
        digest = hashlib.sha256()
        for line in sorted(f"{file.relative}\0{self.facts[file.path].sha256}\n" for file in self.files):
            digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def survey_folders(
    config: DatasetConfig,
    progress: Optional[Progress] = None,
    workers: Optional[int] = None,
    index_path: Optional[PathLike] = None,
    before_reading: Callable[[], None] = lambda: None,
) -> Survey:
    """Reads and judges all motions of the config's folders.

    Args:
        config, progress, workers, index_path: as `merge_folders`.
        before_reading: called once the folders are found.

    Raises:
        ConfigError, DataError: as `merge_folders`.
    """
    _check_settings(config)
    classes, files = find_motions(config.folder_paths, progress)
    _check_halved(config, classes)
    skeleton = _skeleton(config)
    index = FileIndex(index_path or default_index_path(), _num_bodies(skeleton), skeleton)
    before_reading()
    facts, num_read = _all_facts(files, index, skeleton, progress, workers)
    return Survey(classes, files, facts, *_select(config, files, facts), num_read, index)


def _check_settings(config: DatasetConfig) -> None:
    if config.compute_preprocessing_data and not config.char_filepath:
        raise ConfigError(
            "compute_preprocessing_data: needs char_filepath, the MJCF of the motions' character"
        )
    if not config.folder_paths:
        raise ConfigError("folder_paths: empty, name at least one folder of motions")


def _check_halved(config: DatasetConfig, classes: List[str]) -> None:
    if not config.cut_some_classes_in_half:
        return
    for name in config.motion_classes_to_cut_in_half or ():
        if name not in classes:
            near = difflib.get_close_matches(name, classes, n=1, cutoff=0.0)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ConfigError(
                f"motion_classes_to_cut_in_half: no class '{name}' in the folders; {hint}(the classes: "
                f"{', '.join(classes[:20])})"
            )


def _skeleton(config: DatasetConfig) -> Optional[Skeleton]:
    if not config.char_filepath:
        return None
    from parc_core.character.mjcf import load_character

    return Skeleton.of(load_character(resolve(config.char_filepath)))


def _num_bodies(skeleton: Optional[Skeleton]) -> int:
    return DEFAULT_BODIES if skeleton is None else len(skeleton.parents)


def _all_facts(
    files: List[InputFile],
    index: FileIndex,
    skeleton: Optional[Skeleton],
    progress: Optional[Progress],
    workers: Optional[int],
) -> Tuple[Dict[str, FileFacts], int]:
    """Facts of each file by path; only new or changed ones are read."""
    facts: Dict[str, FileFacts] = {}
    todo: Dict[str, InputFile] = {}
    for file in files:
        known = FileFacts("", file.error) if file.error else index.lookup(*_index_name(file))
        if known is None:
            todo[file.path] = file
        else:
            facts[file.path] = known
    for path, file in ensure_cached(list(todo.values()), progress).items():
        facts[path] = FileFacts("", file.error)
        del todo[path]
    unread = [todo[path] for path in sorted(todo)]
    tasks = [(str(local_file(file)), _num_bodies(skeleton), skeleton) for file in unread]
    results = map_files(inspect_stamped, tasks, workers)
    for done, (file, (file_stamp, found)) in enumerate(zip(unread, results), start=1):
        facts[file.path] = found if not file.is_remote else _checked_copy(file, found)
        name, content_stamp = _index_name(file)
        index.record(name, content_stamp or file_stamp, facts[file.path])
        report(progress, done, len(unread), "reading motions")
    return facts, len(unread)


def _index_name(file: InputFile) -> Tuple[str, Optional[str]]:
    """Name and stamp in the index of read files: remote ones are known by content, wherever their copy lies."""
    return (content_name(file.sha256), CONTENT_STAMP) if file.is_remote else (file.path, None)


def _checked_copy(file: InputFile, found: FileFacts) -> FileFacts:
    if found.sha256 == file.sha256:
        return found
    LocalCache().drop(file.sha256)
    return FileFacts(
        "", "its copy in the local cache was damaged and is removed; merge again to fetch it anew"
    )


def _select(
    config: DatasetConfig, files: List[InputFile], facts: Dict[str, FileFacts]
) -> Tuple[List[InputFile], List[Rejected], List[Duplicate]]:
    """Halve, filter, and count the same content once."""
    halved = set(config.motion_classes_to_cut_in_half or ()) if config.cut_some_classes_in_half else set()
    kept: List[InputFile] = []
    rejected: List[Rejected] = []
    duplicates: List[Duplicate] = []
    owner: Dict[str, str] = {}
    position: Counter[str] = Counter()
    for file in files:
        position[file.motion_class] += file.path.endswith(".pkl")
        found = facts[file.path]
        reason = _reason(config, file, found)
        if reason is None and file.motion_class in halved and position[file.motion_class] % 2 == 0:
            reason = "every second file of this class is left out (motion_classes_to_cut_in_half)"
        if reason is not None:
            rejected.append(Rejected(file.shown, file.motion_class, reason))
        elif found.sha256 in owner:
            duplicates.append(Duplicate(file.shown, file.motion_class, owner[found.sha256]))
        else:
            owner[found.sha256] = file.shown
            kept.append(file)
    return kept, rejected, duplicates


def _reason(config: DatasetConfig, file: InputFile, found: FileFacts) -> Optional[str]:
    if not file.motion_class:
        return "lies beside the class folders, not in one"
    if found.error is not None:
        return found.error
    if found.implausible and not config.allow_implausible:
        return f"{found.implausible} (allow_implausible: true takes it as it is)"
    if config.min_num_frames is not None and found.frames < config.min_num_frames:
        return f"{found.frames} frames, fewer than min_num_frames = {config.min_num_frames}"
    for key, cells in (("max_terrain_dim_x", found.nx), ("max_terrain_dim_y", found.ny)):
        limit = getattr(config, key)
        if limit is not None and cells > limit:
            return f"terrain of {found.nx} x {found.ny} cells, more than {key} = {limit}"
    return None


def _named(kept: List[InputFile], facts: Dict[str, FileFacts]) -> List[MergedMotion]:
    """Give each motion its name and its file name."""
    plain = [f"{file.motion_class}/{_stem(file)}" for file in kept]
    count = Counter(plain)
    motions = []
    for file, name in zip(kept, plain):
        found = facts[file.path]
        short = found.sha256[:8]
        parts = (cut_bytes(part.replace("\\", "_"), 80) for part in (file.motion_class, _stem(file)))
        stem = f"{'__'.join(parts)}__{short}.pkl"
        unique = name if count[name] == 1 else f"{name}-{short}"
        motions.append(MergedMotion(stem, unique, file.motion_class, found, file.shown))
    return sorted(motions, key=lambda m: (m.motion_class, m.name))


def _stem(file: InputFile) -> str:
    return printable_name(Path(file.path).stem)


def report(progress: Optional[Progress], done: int, total: int, what: str) -> None:
    """Says now and then how far a piece of work is."""
    if progress is not None and (done == total or done % 50 == 0):
        progress(done, total, what)
