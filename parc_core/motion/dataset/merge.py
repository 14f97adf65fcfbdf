"""Motion folders into one folder of checked motions (spec section 2, dataset creation).

The inputs are only read. Copies carry their content's hash in their name, so that merging again, or merging
another selection into the same folder, reads and writes only what is new.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from parc_core.config.paths import expand, resolve
from parc_core.motion.dataset.file_index import FileIndex, stamp
from parc_core.motion.dataset.inputs import MARKER, InputFile, Progress
from parc_core.motion.dataset.merge_result import MergedMotion, MergeResult, Rejected
from parc_core.motion.dataset.remote_folders import ensure_cached, local_file
from parc_core.motion.dataset.survey import report, survey_folders
from parc_core.system.files import PathLike, read_regular, sha256_bytes, write_bytes, write_text
from parc_core.system.processes import map_files

if TYPE_CHECKING:
    from parc_core.config.dataset_config import DatasetConfig


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
    motions_dir = output_folder(out_dir) / "motions"

    def mark() -> None:
        write_text(motions_dir / MARKER, "Copies made by parc-tracker; not an input.\n")

    found = survey_folders(config, progress, workers, index_path, mark)
    motions, index, duplicates = found.motions(), found.index, found.duplicates
    sources = {file.shown: file for file in found.kept}
    if config.compute_preprocessing_data:
        from parc_core.motion.dataset.prepared_copies import (  # torch: others do without
            Preparation,
            prepare_copies,
        )

        char_file = str(resolve(config.char_filepath))
        how = Preparation(char_file, config.override_old_hf_mask_inds, str(motions_dir))
        motions, same, lost = prepare_copies(motions, sources, how, index, progress, workers)
        duplicates = duplicates + same
    else:
        lost = _copy(motions, sources, motions_dir, index, progress, workers)
        motions = [motion for motion in motions if motion.file not in lost]
    index.save()
    rejected = found.rejected + [Rejected(*lost[key]) for key in sorted(lost)]
    return MergeResult(
        str(motions_dir), found.fingerprint(), found.classes, motions, rejected, duplicates, found.num_read
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
    found = survey_folders(config, progress, workers, index_path)
    found.index.save()
    return found.fingerprint()


def output_folder(path: PathLike) -> Path:
    """The absolute folder that an output path names: relative to the working folder, never to the project."""
    return Path(expand(os.fspath(path))).absolute()


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
        report(progress, done, len(todo), "copying motions")
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
