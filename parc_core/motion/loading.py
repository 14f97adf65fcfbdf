"""Reads a data set's motion-terrain files, many of them in several processes."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple, Union

from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.motion.dataset_file import MotionsFile, display_names, read_motions_yaml
from parc_core.motion.files import read_motion_terrain, validate
from parc_core.motion.parallel import usable_cores
from parc_core.terrain.heightfield import Heightfield

_FILES_PER_WORKER = 2000  # below it a process costs more (importing, sending frames back) than it saves
_CHUNK_FILES = 100


@dataclass(frozen=True)
class LoadedDataset:
    """M motions with their terrains, in the order of `motions.yaml`."""

    clips: List[MotionClip]
    """M reference motions."""
    terrains: List[Heightfield]
    """M terrains: the motion's own, or `shared_terrain` where it has none."""
    weights: List[float]
    """M sampling weights as in the file, any sum."""
    names: List[str]
    """M unique display names."""
    files: List[str]
    """M paths."""
    shared_terrain: Optional[Heightfield] = None
    """The one terrain of all motions (`terrain:` in the file, for `terrain_build_mode: file`)."""


def load_dataset(
    motions_yaml: Union[str, os.PathLike], workers: Optional[int] = None, num_bodies: int = 15
) -> LoadedDataset:
    """Reads and checks every motion of a data set.

    Args:
        motions_yaml: the data set file.
        workers: processes; default: one per core, as far as the number of files is worth it.
        num_bodies: J of the character.

    Raises:
        DataError: a file is missing, corrupt, makes no sense or is listed twice; the message names it.
        ConfigError: a path holds `$DATA_DIR`, which is not set.
    """
    listing = read_motions_yaml(motions_yaml)
    files = [entry.file for entry in listing.entries]
    _check_listed_once(files, str(motions_yaml))
    shared = None if listing.terrain is None else _read_shared_terrain(listing.terrain)
    loaded = _read_all([(file, num_bodies, shared is None) for file in files], workers)
    return LoadedDataset(
        clips=[clip for clip, _ in loaded],
        terrains=_fill_terrains([terrain for _, terrain in loaded], shared),
        weights=[entry.weight for entry in listing.entries],
        names=_unique_names(motions_yaml, listing),
        files=files,
        shared_terrain=shared,
    )


def _unique_names(motions_yaml: Union[str, os.PathLike], listing: MotionsFile) -> List[str]:
    names = display_names(motions_yaml, listing)
    owner: Dict[str, str] = {}
    for name, entry in zip(names, listing.entries):
        if name in owner:
            raise DataError(
                f"{entry.file}: its name {name!r} is also that of {owner[name]}; rename one of them"
            )
        owner[name] = entry.file
    return names


def _check_listed_once(files: Sequence[str], where: str) -> None:
    seen = set()
    for file in files:
        real = os.path.realpath(file)
        if real in seen:
            raise DataError(f"{where}: {file} is listed twice; keep one entry and give it both weights")
        seen.add(real)


def _read_shared_terrain(path: str) -> Heightfield:
    terrain = read_motion_terrain(path).terrain
    if terrain is None:
        raise DataError(
            f"{path}: holds no terrain (terrain_data is None), but the data set names it as its terrain"
        )
    return terrain


def _fill_terrains(
    terrains: Sequence[Optional[Heightfield]], shared: Optional[Heightfield]
) -> List[Heightfield]:
    filled = []
    for terrain in terrains:
        chosen = terrain if terrain is not None else shared
        assert chosen is not None  # without a shared terrain every file was checked to hold one
        filled.append(chosen)
    return filled


_Job = Tuple[str, int, bool]
_Loaded = Tuple[MotionClip, Optional[Heightfield]]


def _read_all(jobs: Sequence[_Job], workers: Optional[int]) -> List[_Loaded]:
    if workers is None:
        workers = min(usable_cores(), len(jobs) // _FILES_PER_WORKER)
    if workers <= 1:
        return [_read_one(job) for job in jobs]
    # Spawned, not forked: the caller may hold a GPU context or threads that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return list(pool.map(_read_one, jobs, chunksize=_CHUNK_FILES))


def _read_one(job: _Job) -> _Loaded:
    file, num_bodies, require_terrain = job
    content = read_motion_terrain(file)
    validate(content, file, num_bodies, require_terrain)
    assert content.motion is not None  # validate raises where there is none
    return content.motion, content.terrain
