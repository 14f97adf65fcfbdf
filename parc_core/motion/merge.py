"""Motion folders into one folder of checked motions (spec section 2, dataset creation).

The inputs are only read. Copies carry their content's hash in their name, so that merging again, or merging
another selection into the same folder, reads and writes only what is new.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Tuple

from parc_core.config.paths import expand, resolve
from parc_core.errors import ConfigError
from parc_core.motion.file_index import (
    FileFacts,
    FileIndex,
    default_index_path,
    inspect_stamped,
    stamp,
)
from parc_core.motion.merge_result import Duplicate, MergedMotion, MergeResult, Rejected
from parc_core.motion.motion_folders import MARKER, InputFile, find_motions
from parc_core.motion.parallel import map_files
from parc_core.storage.atomic import PathLike, sha256_bytes, write_bytes, write_text

if TYPE_CHECKING:
    from parc_core.config.dataset_config import DatasetConfig

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""

DEFAULT_BODIES = 15


def merge_folders(
    config: DatasetConfig,
    out_dir: PathLike,
    progress: Optional[Progress] = None,
    workers: Optional[int] = None,
    index_path: Optional[PathLike] = None,
) -> MergeResult:
    """Check all motions of the config's folders and copy the good ones to `<out_dir>/motions`.

    A file that cannot be used is listed with the reason and stops nothing. The result does not depend on the
    order of the file system or the number of workers.

    Args:
        config: folders, limits and halved classes.
        out_dir: where `motions/` is made or added to.
        progress: called now and then with (done, total, what).
        workers: processes; by default one per core where there are many files.
        index_path: what is known of files already read; `default_index_path()` by default.

    Raises:
        ConfigError: a setting that is not supported, or `out_dir` cannot be written.
        DataError: a folder is missing, or holds no class folder.
    """
    check_supported(config)
    motions_dir = output_folder(out_dir) / "motions"
    classes, files = find_motions(config.folder_paths)
    num_bodies = _num_bodies(config)
    index = FileIndex(index_path or default_index_path(), num_bodies)
    write_text(motions_dir / MARKER, "Copies made by parc-tracker; not an input.\n")
    facts, num_read = _all_facts(files, index, num_bodies, progress, workers)
    kept, rejected, duplicates = _select(config, files, facts)
    motions = _named(kept, facts)
    lost = _copy(motions, motions_dir, index, progress, workers)
    index.save()
    motions = [motion for motion in motions if motion.file not in lost]
    rejected += [Rejected(*lost[key]) for key in sorted(lost)]
    return MergeResult(
        str(motions_dir), _fingerprint(files, facts), classes, motions, rejected, duplicates, num_read
    )


def inputs_fingerprint(
    config: DatasetConfig,
    index_path: Optional[PathLike] = None,
    progress: Optional[Progress] = None,
    workers: Optional[int] = None,
) -> str:
    """SHA-256 over path below its root and content of every input file: the cache key of a merge's inputs.

    Moving the roots does not change it; the settings of `config` are not in it. Unchanged files are not read.

    Raises:
        ConfigError, DataError: as `merge_folders`.
    """
    check_supported(config)
    _, files = find_motions(config.folder_paths)
    num_bodies = _num_bodies(config)
    index = FileIndex(index_path or default_index_path(), num_bodies)
    facts, _ = _all_facts(files, index, num_bodies, progress, workers)
    index.save()
    return _fingerprint(files, facts)


def output_folder(path: PathLike) -> Path:
    """The absolute folder that an output path names: relative to the working folder, never to the project."""
    return Path(expand(os.fspath(path))).absolute()


def check_supported(config: DatasetConfig) -> None:
    """Raise `ConfigError` for what this version cannot do."""
    if config.compute_preprocessing_data:
        raise ConfigError(
            "compute_preprocessing_data: not available yet, set it to false (the tracker does not need it)"
        )
    if not config.folder_paths:
        raise ConfigError("folder_paths: empty, name at least one folder of motions")


def _num_bodies(config: DatasetConfig) -> int:
    if not config.char_filepath:
        return DEFAULT_BODIES
    from parc_core.character.mjcf import load_character

    return len(load_character(resolve(config.char_filepath)).body_names)


def _all_facts(
    files: List[InputFile],
    index: FileIndex,
    num_bodies: int,
    progress: Optional[Progress],
    workers: Optional[int],
) -> Tuple[Dict[str, FileFacts], int]:
    """Facts of each file by path; only new or changed ones are read."""
    facts: Dict[str, FileFacts] = {}
    todo: List[str] = []
    for file in files:
        known = index.lookup(file.path)
        if known is None:
            todo.append(file.path)
        else:
            facts[file.path] = known
    todo = sorted(set(todo))
    results = map_files(inspect_stamped, [(path, num_bodies) for path in todo], workers)
    for done, (path, (file_stamp, found)) in enumerate(zip(todo, results), start=1):
        facts[path] = found
        index.note(path, file_stamp, found)
        _report(progress, done, len(todo), "reading motions")
    return facts, len(todo)


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
        position[file.motion_class] += 1
        found = facts[file.path]
        reason = _reason(config, file, found)
        if file.motion_class in halved and position[file.motion_class] % 2 == 0:
            reason = "every second file of this class is left out (motion_classes_to_cut_in_half)"
        if reason is not None:
            rejected.append(Rejected(file.path, file.motion_class, reason))
        elif found.sha256 in owner:
            duplicates.append(Duplicate(file.path, file.motion_class, owner[found.sha256]))
        else:
            owner[found.sha256] = file.path
            kept.append(file)
    return kept, rejected, duplicates


def _reason(config: DatasetConfig, file: InputFile, found: FileFacts) -> Optional[str]:
    if not file.motion_class:
        return "lies beside the class folders, not in one"
    if found.error is not None:
        return found.error
    if config.min_num_frames is not None and found.frames < config.min_num_frames:
        return f"{found.frames} frames, fewer than min_num_frames = {config.min_num_frames}"
    for key, cells in (("max_terrain_dim_x", found.nx), ("max_terrain_dim_y", found.ny)):
        limit = getattr(config, key)
        if limit is not None and cells > limit:
            return f"terrain of {found.nx} x {found.ny} cells, more than {key} = {limit}"
    return None


def _named(kept: List[InputFile], facts: Dict[str, FileFacts]) -> List[MergedMotion]:
    """Give each motion its name and its file name."""
    plain = [f"{file.motion_class}/{Path(file.path).stem}" for file in kept]
    count = Counter(plain)
    motions = []
    for file, name in zip(kept, plain):
        found = facts[file.path]
        short = found.sha256[:8]
        stem = f"{file.motion_class[:80]}__{Path(file.path).stem[:80]}__{short}.pkl"
        unique = name if count[name] == 1 else f"{name}-{short}"
        motions.append(
            MergedMotion(
                stem,
                unique,
                file.motion_class,
                found.sha256,
                found.frames,
                found.fps,
                found.nx,
                found.ny,
                found.dx,
                file.path,
            )
        )
    return sorted(motions, key=lambda m: (m.motion_class, m.name))


def _copy(
    motions: List[MergedMotion],
    motions_dir: Path,
    index: FileIndex,
    progress: Optional[Progress],
    workers: Optional[int],
) -> Dict[str, Tuple[str, str, str]]:
    """Make the copies that are not there yet, or no longer what they were.

    Returns:
        The motions that could not be copied, by file: what `Rejected` needs.
    """
    todo = []
    for motion in motions:
        known = index.lookup(str(motions_dir / motion.file))
        if known is None or known.sha256 != motion.sha256:
            todo.append(motion)
    tasks = [(motion.source, str(motions_dir / motion.file), motion.sha256) for motion in todo]
    lost: Dict[str, Tuple[str, str, str]] = {}
    for done, (motion, (file_stamp, reason)) in enumerate(zip(todo, map_files(_copy_one, tasks, workers)), 1):
        if reason is not None:
            lost[motion.file] = (motion.source, motion.motion_class, reason)
        facts = FileFacts(motion.sha256, None, motion.frames, motion.fps, motion.nx, motion.ny, motion.dx)
        index.note(str(motions_dir / motion.file), file_stamp, facts)
        _report(progress, done, len(todo), "copying motions")
    return lost


def _copy_one(task: Tuple[str, str, str]) -> Tuple[Optional[str], Optional[str]]:
    """Copy one file if it still is what was checked; its copy's stamp, or the reason why not."""
    source, target, sha256 = task
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        return None, f"vanished while being merged ({error.strerror or error})"
    if sha256_bytes(data) != sha256:
        return None, "changed while being merged; merge again when nothing writes there"
    write_bytes(target, data)
    return stamp(target), None


def _fingerprint(files: List[InputFile], facts: Dict[str, FileFacts]) -> str:
    digest = hashlib.sha256()
    for line in sorted(f"{file.relative}\0{facts[file.path].sha256}\n" for file in files):
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _report(progress: Optional[Progress], done: int, total: int, what: str) -> None:
    if progress is not None and (done == total or done % 50 == 0):
        progress(done, total, what)
