"""Motion folders into one folder of checked motions (spec section 2, dataset creation).

The inputs are only read. Copies carry their content's hash in their name, so that merging again, or merging
another selection into the same folder, reads and writes only what is new.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Optional, Set, Tuple

from parc_core.config.paths import expand, resolve
from parc_core.errors import ConfigError, DataError
from parc_core.motion.file_index import (
    FileFacts,
    FileIndex,
    default_index_path,
    inspect_stamped,
    stamp,
)
from parc_core.motion.merge_result import Duplicate, MergedMotion, MergeResult, Rejected
from parc_core.motion.parallel import map_files
from parc_core.storage.atomic import PathLike, sha256_bytes, write_bytes, write_text

if TYPE_CHECKING:
    from parc_core.config.dataset_config import DatasetConfig

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""

MARKER = ".parc-merged"
"""Lies in every folder of copies; such a folder is never an input, even inside an input folder."""

DEFAULT_BODIES = 15


@dataclass(frozen=True)
class InputFile:
    """A motion file found below a root."""

    path: str
    """Absolute."""
    motion_class: str
    """First folder below the root; empty for a file that lies in the root itself."""
    relative: str
    """Below the root, with forward slashes."""


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
    classes, files = find_motions(config)
    num_bodies = _num_bodies(config)
    index = FileIndex(index_path or default_index_path(), num_bodies)
    write_text(motions_dir / MARKER, "Copies made by parc-tracker; not an input.\n")
    facts, num_read = _all_facts(files, index, num_bodies, progress, workers)
    kept, rejected, duplicates = _select(config, files, facts)
    motions = _named(kept, facts)
    _copy(motions, motions_dir, index, progress, workers)
    index.save()
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
    _, files = find_motions(config)
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


def find_motions(config: DatasetConfig) -> Tuple[List[str], List[InputFile]]:
    """The classes (first-level folders of all roots) and every `.pkl` below the roots, sorted.

    Folders whose name contains "ignore", hidden folders and folders of copies are skipped.

    Raises:
        DataError: a root is missing or none holds a class folder.
    """
    classes: Set[str] = set()
    files: List[InputFile] = []
    for entry in config.folder_paths:
        root = resolve(entry).absolute()
        if not root.is_dir():
            raise DataError(f"folder_paths: {root}: no such folder; check the path (and DATA_DIR)")
        for folder, names in _walk(root):
            parts = folder.relative_to(root).parts
            classes.update(parts[:1])
            for name in names:
                relative = "/".join((*parts, name))
                files.append(InputFile(str(folder / name), parts[0] if parts else "", relative))
    if not classes:
        roots = ", ".join(str(folder) for folder in config.folder_paths)
        raise DataError(f"folder_paths: {roots}: no class folder inside; give the folder above the classes")
    # Python's sort is stable: equal paths of two roots stay in the order of the roots.
    return sorted(classes), sorted(files, key=lambda f: (f.motion_class, f.relative))


def _walk(root: Path) -> Iterator[Tuple[Path, List[str]]]:
    """Folders below `root` with the names of their `.pkl` files; links are followed, loops are not."""
    seen: Set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_raise_unreadable):
        real = os.path.realpath(folder)
        if real in seen or MARKER in names:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(
            name
            for name in folders
            if "ignore" not in name
            and not name.startswith((".", "__pycache__"))
            and not os.path.exists(os.path.join(folder, name, MARKER))
        )
        yield Path(folder), sorted(name for name in names if name.endswith(".pkl"))


def _raise_unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename}: folder cannot be read ({error.strerror}); check its permissions")


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
) -> None:
    """Make the copies that are not there yet, or no longer what they were."""
    targets = {motion.file: str(motions_dir / motion.file) for motion in motions}
    todo = []
    for motion in motions:
        known = index.lookup(targets[motion.file])
        if known is None or known.sha256 != motion.sha256:
            todo.append((motion.source, targets[motion.file], motion.sha256))
    by_target = {targets[motion.file]: motion for motion in motions}
    for done, (target, file_stamp) in enumerate(map_files(_copy_one, todo, workers), start=1):
        motion = by_target[target]
        known = FileFacts(motion.sha256, None, motion.frames, motion.fps, motion.nx, motion.ny, motion.dx)
        index.note(target, file_stamp, known)
        _report(progress, done, len(todo), "copying motions")


def _copy_one(task: Tuple[str, str, str]) -> Tuple[str, Optional[str]]:
    source, target, sha256 = task
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise DataError(f"{source}: vanished while being merged ({error.strerror}); merge again") from error
    if sha256_bytes(data) != sha256:
        raise DataError(f"{source}: changed while being merged; merge again when nothing writes there")
    write_bytes(target, data)
    return target, stamp(target)


def _fingerprint(files: List[InputFile], facts: Dict[str, FileFacts]) -> str:
    digest = hashlib.sha256()
    for line in sorted(f"{file.relative}\0{facts[file.path].sha256}\n" for file in files):
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _report(progress: Optional[Progress], done: int, total: int, what: str) -> None:
    if progress is not None and (done == total or done % 50 == 0):
        progress(done, total, what)
