"""Folders of synthetic motions, written over processes."""

from __future__ import annotations

import math
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Sequence, Tuple, Union

import torch

from parc_core.character.mjcf import load_character
from parc_core.character.model import Character
from parc_core.config.paths import DATA_ROOT
from parc_core.config.tracker_config import LARGEST_SEED
from parc_core.errors import ConfigError
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic.generate import check_kind, make_motion
from parc_core.system.processes import usable_cores

_Job = Tuple[str, int, str, float]  # kind, seed, path, longest duration (s)
_CHUNK = 16  # motions handed to a process at a time
_character: Optional[Character] = None  # of a worker process, set once when it starts


def make_dataset(
    kinds: Sequence[str],
    count: int,
    seed: int,
    out_dir: Union[str, os.PathLike[str]],
    *,
    workers: Optional[int] = None,
    progress: Optional[Callable[[int, int], None]] = None,
    character: Optional[Character] = None,
    max_seconds: float = math.inf,
) -> List[Path]:
    """Writes `<out_dir>/<kind>/<kind>_<seed>.pkl`: a folder per kind is a motion class of a dataset.

    Args:
        kinds: of `KINDS`.
        count: motions of each kind, with seeds seed … seed + count − 1.
        seed: first seed, not negative.
        out_dir: made where missing; files of the same name are replaced.
        workers: processes; by default one per core, and none beside this one for a few motions.
        progress: called with (motions done, motions in all).
        character: who moves; the PARC humanoid by default.
        max_seconds: longer motions are cut there.

    Returns:
        The files, sorted by kind (as given) and seed.

    Raises:
        ConfigError: unknown kind, count, seed or max_seconds out of range, or a folder that cannot be written.
    """
    if count < 1 or seed < 0 or seed + count - 1 > LARGEST_SEED:
        raise ConfigError(
            f"count is {count} and seed is {seed}; count must be at least 1, and seeds from 0 to {LARGEST_SEED}"
        )
    if not max_seconds > 0:
        raise ConfigError(f"max_seconds is {max_seconds}; it must be above 0")
    for kind in kinds:
        check_kind(kind)
    if character is None:
        character = load_character(DATA_ROOT / "data" / "assets" / "humanoid.xml")
    jobs = [
        (kind, number, str(Path(out_dir) / kind / f"{kind}_{number}.pkl"), max_seconds)
        for kind in dict.fromkeys(kinds)
        for number in range(seed, seed + count)
    ]
    for kind in kinds:
        _make_folder(Path(out_dir) / kind)
    if workers is None:
        workers = min(usable_cores(), len(jobs) // (2 * _CHUNK))
    for done, _ in enumerate(_write_all(jobs, character, workers), start=1):
        if progress is not None:
            progress(done, len(jobs))
    return [Path(path) for _, _, path, _ in jobs]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"can't make the folder {folder}: {error.strerror}; choose another --out"
        ) from error


def _write_all(jobs: List[_Job], character: Character, workers: int) -> Iterator[None]:
    """Yields once per finished job."""
    if workers <= 1:
        for job in jobs:
            _write(job, character)
            yield
        return
    # A forked process would inherit torch's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (character,)) as pool:
        yield from pool.map(_write_in_worker, jobs, chunksize=_CHUNK)


def _start_worker(character: Character) -> None:
    global _character  # noqa: PLW0603  one per process: sent once, not with every job
    torch.set_num_threads(1)
    _character = character


def _write_in_worker(job: _Job) -> None:
    assert _character is not None
    _write(job, _character)


def _write(job: _Job, character: Character) -> None:
    kind, seed, path, max_seconds = job
    made = make_motion(kind, seed, character)
    if math.isfinite(max_seconds) and made.motion is not None:
        made = replace(made, motion=made.motion.first_seconds(max_seconds))
    write_motion_terrain(path, made)
