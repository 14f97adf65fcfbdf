"""Motion folders into one folder of checked motions (spec section 2, dataset creation).

The inputs are only read. Copies carry their content's hash in their name, so that merging again, or merging
another selection into the same folder, reads and writes only what is new.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from parc_core.config.paths import expand, resolve
from parc_core.errors import ConfigError
from parc_core.motion.dataset.file_index import (
    CONTENT_STAMP,
    FileFacts,
    FileIndex,
    content_name,
    default_index_path,
    inspect_stamped,
    stamp,
)
from parc_core.motion.dataset.inputs import MARKER, InputFile, Progress
from parc_core.motion.dataset.merge_result import Duplicate, MergedMotion, MergeResult, Rejected
from parc_core.motion.dataset.remote_folders import ensure_cached, local_file
from parc_core.motion.dataset.sources import find_motions
from parc_core.motion.skeleton import Skeleton
from parc_core.storage.cache import LocalCache
from parc_core.system.files import (
    PathLike,
    cut_bytes,
    printable_name,
    read_regular,
    sha256_bytes,
    write_bytes,
    write_text,
)
from parc_core.system.processes import map_files

if TYPE_CHECKING:
    from parc_core.config.dataset_config import DatasetConfig

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
        ConfigError: settings that do not fit together, or `out_dir` cannot be written.
        DataError: a folder is missing, or holds no class folder.
    """
    _check_settings(config)
    motions_dir = output_folder(out_dir) / "motions"
    classes, files = find_motions(config.folder_paths, progress)
    _check_halved(config, classes)
    skeleton = _skeleton(config)
    index = FileIndex(index_path or default_index_path(), _num_bodies(skeleton), skeleton)
    write_text(motions_dir / MARKER, "Copies made by parc-tracker; not an input.\n")
    facts, num_read = _all_facts(files, index, skeleton, progress, workers)
    kept, rejected, duplicates = _select(config, files, facts)
    motions = _named(kept, facts)
    sources = {file.shown: file for file in kept}
    if config.compute_preprocessing_data:
        from parc_core.motion.dataset.prepared_copies import (  # torch: others do without
            Preparation,
            prepare_copies,
        )

        char_file = str(resolve(config.char_filepath))
        how = Preparation(char_file, config.override_old_hf_mask_inds, str(motions_dir))
        motions, same, lost = prepare_copies(motions, sources, how, index, progress, workers)
        duplicates += same
    else:
        lost = _copy(motions, sources, motions_dir, index, progress, workers)
        motions = [motion for motion in motions if motion.file not in lost]
    index.save()
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
    _check_settings(config)
    _, files = find_motions(config.folder_paths, progress)
    skeleton = _skeleton(config)
    index = FileIndex(index_path or default_index_path(), _num_bodies(skeleton), skeleton)
    facts, _ = _all_facts(files, index, skeleton, progress, workers)
    index.save()
    return _fingerprint(files, facts)


def output_folder(path: PathLike) -> Path:
    """The absolute folder that an output path names: relative to the working folder, never to the project."""
    return Path(expand(os.fspath(path))).absolute()


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
        _report(progress, done, len(unread), "reading motions")
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


def _copy(
    motions: List[MergedMotion],
    sources: Dict[str, InputFile],
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
    lost: Dict[str, Tuple[str, str, str]] = {}
    gone = ensure_cached([sources[motion.source] for motion in todo], progress)
    for motion in todo:
        if motion.source in gone:
            lost[motion.file] = (motion.source, motion.motion_class, gone[motion.source].error)
    todo = [motion for motion in todo if motion.file not in lost]
    tasks = [
        (str(local_file(sources[motion.source])), str(motions_dir / motion.file), motion.sha256)
        for motion in todo
    ]
    for done, (motion, (file_stamp, reason)) in enumerate(zip(todo, map_files(_copy_one, tasks, workers)), 1):
        if reason is not None:
            lost[motion.file] = (motion.source, motion.motion_class, reason)
        index.record(str(motions_dir / motion.file), file_stamp, motion.facts)
        _report(progress, done, len(todo), "copying motions")
    return lost


def _copy_one(task: Tuple[str, str, str]) -> Tuple[Optional[str], Optional[str]]:
    """Copy one file if it still is what was checked; its copy's stamp, or the reason why not."""
    source, target, sha256 = task
    try:
        data = read_regular(source)
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
