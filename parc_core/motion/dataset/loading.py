"""Reads a dataset: its motion-terrain files, many of them in several processes, or one file with all of them."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Sequence, Union

import torch

from parc_core import rotations
from parc_core.errors import DataError
from parc_core.motion.dataset.dataset_arrays import DatasetArrays, ReadJob, read_files
from parc_core.motion.dataset.dataset_cache import CACHE_MIN_MOTIONS, dataset_key, load_cached, save_cached
from parc_core.motion.dataset.dataset_file import MotionsFile, display_names, read_motions_yaml
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.formats.terrain_grid import read_terrain_pkl
from parc_core.system.processes import usable_cores
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.heightfield_arrays import HeightfieldArrays

_FILES_PER_WORKER = 1000  # below it a process costs more (starting, sending frames back) than it saves
_CHUNK_FILES = 250


@dataclass(frozen=True)
class LoadedDataset:
    """M motions with their terrains, in the order of `motions.yaml`."""

    arrays: DatasetArrays
    """All frames of the M motions, rotations of unit length, and M terrains: the motion's own, or `shared_terrain`
    where it has none."""
    weights: List[float]
    """M sampling weights as in the file, any sum."""
    names: List[str]
    """M unique display names."""
    files: List[str]
    """M paths."""
    shared_terrain: Optional[Heightfield] = None
    """The one terrain of all motions (`terrain:` in the file, for `terrain_build_mode: file`)."""

    @property
    def num_motions(self) -> int:
        """M."""
        return len(self.names)

    @property
    def terrains(self) -> HeightfieldArrays:
        """M terrains."""
        return self.arrays.terrains


def load_dataset(
    motions_yaml: Union[str, os.PathLike],
    workers: Optional[int] = None,
    num_bodies: int = 15,
    cache: Optional[bool] = None,
) -> LoadedDataset:
    """Reads and checks every motion of a dataset.

    Args:
        motions_yaml: the dataset file.
        workers: processes; default: one per core, as far as the number of files is worth it.
        num_bodies: J of the character.
        cache: read and write the file of all motions beside the dataset (see `dataset_cache`); default: from
            `CACHE_MIN_MOTIONS` motions on.

    Raises:
        DataError: a file is missing, corrupt, makes no sense or is listed twice; the message names it.
        ConfigError: a path holds `$DATA_DIR`, which is not set.
    """
    listing = read_motions_yaml(motions_yaml)
    files = [entry.file for entry in listing.entries]
    _check_listed_once(files, str(motions_yaml))
    shared = None if listing.terrain is None else _read_shared_terrain(listing.terrain)
    if len(files) >= CACHE_MIN_MOTIONS if cache is None else cache:
        key = dataset_key(files, listing.terrain, num_bodies)
        arrays = load_cached(motions_yaml, key)
        if arrays is None:
            arrays = _read_all(files, num_bodies, shared, workers)
            if dataset_key(files, listing.terrain, num_bodies) == key:  # not where a file changed meanwhile
                save_cached(motions_yaml, key, arrays)
    else:
        arrays = _read_all(files, num_bodies, shared, workers)
    return LoadedDataset(
        arrays=arrays,
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
    folders: Dict[str, str] = {}  # looking up each folder's links once and not with every file
    for file in files:
        folder, name = os.path.split(file)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        real = os.path.realpath(file) if os.path.islink(file) else os.path.join(folders[folder], name)
        if real in seen:
            raise DataError(f"{where}: {file} is listed twice; keep one entry and give it both weights")
        seen.add(real)


def _read_shared_terrain(path: str) -> Heightfield:
    content = read_motion_terrain(path)
    if content.terrain is None:
        raise DataError(
            f"{path}: holds no terrain (terrain_data is None), but the dataset names it as its terrain"
        )
    if content.misc is not None and "motion_offsets" in safe_pickle.strings(content.misc):
        offsets = read_terrain_pkl(path).motion_offsets
        if offsets.any():  # each motion has its own frame, which the grid has moved
            raise DataError(
                f"{path}: holds the terrains of {len(offsets)} motions side by side, but the dataset names it as the "
                "one terrain of all; remove the line `terrain:` and choose terrain_build_mode square"
            )
    return content.terrain


def _read_all(
    files: List[str], num_bodies: int, shared: Optional[Heightfield], workers: Optional[int]
) -> DatasetArrays:
    if workers is None:
        workers = min(usable_cores(), len(files) // _FILES_PER_WORKER)
    chunks = [files[i : i + _CHUNK_FILES] for i in range(0, len(files), _CHUNK_FILES)]
    jobs = [ReadJob(chunk, num_bodies, shared) for chunk in chunks]
    if workers <= 1:
        return unit_length(DatasetArrays.join([read_files(job) for job in jobs]))
    # Spawned, not forked: the caller may hold a GPU context or threads that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
        return unit_length(DatasetArrays.join(list(pool.map(read_files, jobs))))


def unit_length(arrays: DatasetArrays) -> DatasetArrays:
    """The arrays with rotations normalized: files may be off by what `validate` tolerates."""
    return replace(
        arrays,
        root_rot=rotations.normalize(torch.from_numpy(arrays.root_rot)).numpy(),
        joint_rot=rotations.normalize(torch.from_numpy(arrays.joint_rot)).numpy(),
    )
