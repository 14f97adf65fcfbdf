"""Copies of merged motions that also hold what PARC's stage 1 wants (`compute_preprocessing_data`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from parc_core.errors import DataError
from parc_core.motion.dataset.file_index import CONTENT_STAMP, FileIndex, stamp
from parc_core.motion.dataset.inputs import InputFile, Progress
from parc_core.motion.dataset.merge_result import Duplicate, MergedMotion
from parc_core.motion.dataset.preprocessing import Preprocessor, preprocess
from parc_core.motion.dataset.remote_folders import ensure_cached, local_file
from parc_core.motion.formats.container import motion_terrain_bytes, read_motion_terrain
from parc_core.system.files import read_regular, sha256_bytes, sha256_file, write_bytes
from parc_core.system.processes import map_files

PREPARING_VERSION = 1
"""Raise when `preprocess` computes differently: copies made by older versions are then made again."""


@dataclass(frozen=True)
class Preparation:
    """How copies are made."""

    char_file: str
    """MJCF of the motions' character."""
    override: bool
    """Compute masks again where a file has them."""
    motions_dir: str
    """Folder of the copies."""


Lost = Dict[str, Tuple[str, str, str]]
"""Motions without a copy, by file: source, class and reason."""


def prepare_copies(
    motions: List[MergedMotion],
    sources: Dict[str, InputFile],
    how: Preparation,
    index: FileIndex,
    progress: Optional[Progress] = None,
    workers: Optional[int] = None,
) -> Tuple[List[MergedMotion], List[Duplicate], Lost]:
    """Make the copies that are not there yet; inputs are only read.

    Args:
        motions: as checked and named, with the hashes of their inputs.
        sources: the input files by path.
        how: character, folder and setting.
        index: what is known of earlier copies.
        progress: called with (done, total, what).
        workers: processes; by default one per core where there are many files.

    Returns:
        The motions with file name and hash of their copies; those whose copies equal another's; and what could not be
        prepared.
    """
    recipe = f"prepared:{PREPARING_VERSION}:{sha256_file(how.char_file)}:{int(how.override)}"
    done: Dict[str, MergedMotion] = {}
    todo: List[MergedMotion] = []
    lost: Lost = {}
    for motion in motions:
        known = index.lookup(f"{recipe}:{motion.sha256}", CONTENT_STAMP)
        copy = None if known is None else _renamed(motion, known.sha256)
        here = None if copy is None else index.lookup(str(Path(how.motions_dir) / copy.file))
        if copy is not None and here is not None and here.sha256 == copy.sha256:
            done[motion.file] = copy
        else:
            todo.append(motion)
    gone = ensure_cached([sources[motion.source] for motion in todo], progress)
    lost.update({m.file: (m.source, m.motion_class, gone[m.source].error) for m in todo if m.source in gone})
    todo = [motion for motion in todo if motion.source not in gone]
    tasks = [(motion, str(local_file(sources[motion.source])), how) for motion in todo]
    results = map_files(_prepare_one, tasks, workers)
    for count, (motion, (copy, file_stamp, reason)) in enumerate(zip(todo, results), start=1):
        if copy is None:
            lost[motion.file] = (motion.source, motion.motion_class, reason)
        else:
            done[motion.file] = copy
            index.record(str(Path(how.motions_dir) / copy.file), file_stamp, copy.facts)
            index.record(f"{recipe}:{motion.sha256}", CONTENT_STAMP, copy.facts)
        if progress is not None and (count == len(todo) or count % 50 == 0):
            progress(count, len(todo), "preprocessing motions")
    kept, same = _once([done[motion.file] for motion in motions if motion.file in done])
    return kept, same, lost


def _once(motions: List[MergedMotion]) -> Tuple[List[MergedMotion], List[Duplicate]]:
    """Inputs that differ may give equal copies (one was prepared before): the first counts."""
    owner: Dict[str, MergedMotion] = {}
    duplicates = []
    for motion in motions:
        first = owner.setdefault(motion.sha256, motion)
        if first is not motion:
            duplicates.append(Duplicate(motion.source, motion.motion_class, first.source))
    return list(owner.values()), duplicates


def _renamed(motion: MergedMotion, sha256: str) -> MergedMotion:
    """The motion under its copy's content: the last part of the file name is the hash's beginning."""
    stem = motion.file.rpartition("__")[0]
    facts = replace(motion.facts, sha256=sha256)
    return replace(motion, file=f"{stem}__{sha256[:8]}.pkl", facts=facts)


def _prepare_one(
    task: Tuple[MergedMotion, str, Preparation],
) -> Tuple[Optional[MergedMotion], Optional[str], str]:
    """Prepare one file if it still is what was checked: its copy and the copy's stamp, or the reason why not."""
    motion, source, how = task
    try:
        data = read_regular(source)
    except OSError as error:
        return None, None, f"vanished while being merged ({error.strerror or error})"
    if sha256_bytes(data) != motion.sha256:
        return None, None, "changed while being merged; merge again when nothing writes there"
    try:
        content = read_motion_terrain(data, motion.source)
        prepared = preprocess(content, _preprocessor(how.char_file), how.override, motion.source)
    except DataError as error:
        text = str(error)
        return None, None, text[len(motion.source) + 2 :] if text.startswith(f"{motion.source}: ") else text
    made = data if prepared is content else motion_terrain_bytes(prepared)
    copy = _renamed(motion, sha256_bytes(made))
    target = str(Path(how.motions_dir) / copy.file)
    write_bytes(target, made)
    return copy, stamp(target), ""


@lru_cache(maxsize=4)
def _preprocessor(char_file: str) -> Preprocessor:
    from parc_core.character.mjcf import load_character

    return Preprocessor(load_character(char_file))
