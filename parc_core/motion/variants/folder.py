"""Variants of all motions of a folder: `<class>/<clip>_var000.pkl`, and mirror images beside them."""

from __future__ import annotations

import functools
import multiprocessing
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch

from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.config.tracker_config import LARGEST_SEED
from parc_core.errors import ConfigError, DataError
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.dataset.identity import clip_identity
from parc_core.motion.dataset.inputs import InputFile
from parc_core.motion.dataset.remote_folders import local_file
from parc_core.motion.dataset.sources import find_motions
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.completion import flat_terrain
from parc_core.motion.formats.container import read_misc, read_motion_terrain, write_motion_terrain
from parc_core.motion.plausibility import judge
from parc_core.motion.validation import validate
from parc_core.motion.variants.acceptance import extremes
from parc_core.motion.variants.implausible import ImplausibleError
from parc_core.motion.variants.make import KINDS, VariantMaker
from parc_core.motion.variants.mirror import Mirror, mirrored_terrain
from parc_core.motion.variants.source import Body
from parc_core.system.processes import map_files, usable_cores
from parc_core.terrain.heightfield import Heightfield

SOURCE_KEY = "variant_source"
"""In misc_data of every variant and mirror image: `<class>/<clip>` of what it was made from."""
ORIGINAL = "original"
_FEW = 100  # variants that one process makes before others would have started


@dataclass(frozen=True)
class VariantOptions:
    """What to make of every motion."""

    count: int = 10
    """Variants of each motion."""
    kinds: Tuple[str, ...] = KINDS
    """Of `make.KINDS`; the variants of a motion take turns."""
    mirror: bool = False
    """Also the mirror image of the motion and of each variant."""
    seed: int = 0
    char_file: str = "data/assets/humanoid.xml"
    """MJCF of the character."""


@dataclass(frozen=True)
class Dropped:
    """A variant that was not kept."""

    name: str
    kind: str
    reason: str
    detail: str


@dataclass
class VariantsResult:
    """What became of a folder."""

    sources: int = 0
    """Motions that variants were made of."""
    files: List[str] = field(default_factory=list)
    """Written, variants and mirror images."""
    dropped: List[Dropped] = field(default_factory=list)
    skipped: List[Tuple[str, str]] = field(default_factory=list)
    """Files that are no motion to make variants of, with the reason."""
    numbers: List[Dict[str, Any]] = field(default_factory=list)
    """Of each original and variant: file, kind, ground, and what was measured."""

    def add(self, other: VariantsResult) -> None:
        """Takes in what became of one file."""
        self.sources += other.sources
        self.files += other.files
        self.dropped += other.dropped
        self.skipped += other.skipped
        self.numbers += other.numbers


def make_variants(
    folder: str,
    out_dir: Path,
    options: VariantOptions,
    progress: Optional[Callable[[int, int], None]] = None,
    workers: Optional[int] = None,
) -> VariantsResult:
    """Writes the variants of every motion below a folder, in classes of the same names.

    Args:
        folder: with class folders, as of a data set; also `s3://…`.
        out_dir: made where missing; files of the same name are replaced.
        options: what to make.
        progress: called with (motions done, motions in all).
        workers: processes; by default one per core where there is much to do.

    Raises:
        ConfigError: options that make no sense, or a folder that cannot be written.
        DataError: no such folder, or nothing in it that variants can be made of.
    """
    _check(options)
    _, files = find_motions([folder])
    if workers is None:
        workers = usable_cores() if len(files) * options.count > _FEW else 1
    result = VariantsResult()
    work = functools.partial(_make_of_file, str(out_dir), options)
    for done, part in enumerate(map_files(work, files, workers), start=1):
        result.add(part)
        if progress is not None:
            progress(done, len(files))
    if not result.sources:
        reason = f"; {result.skipped[0][1]}" if result.skipped else ""
        raise DataError(f"{folder}: no motion to make variants of{reason}")
    return result


def _check(options: VariantOptions) -> None:
    if options.count < 0 or (options.count == 0 and not options.mirror):
        raise ConfigError(
            f"--variants is {options.count}; give at least 1, or --mirror for mirror images alone"
        )
    if not 0 <= options.seed <= LARGEST_SEED:
        raise ConfigError(f"seed is {options.seed}; it must be from 0 to {LARGEST_SEED}")
    for kind in options.kinds:
        if kind not in KINDS:
            raise ConfigError(f"there is no kind of variant named {kind!r}; choose from {', '.join(KINDS)}")
    if not options.kinds:
        raise ConfigError(f"no kind of variant is given; choose from {', '.join(KINDS)}")


@functools.lru_cache(maxsize=1)
def _body(char_file: str) -> Body:
    """The tables of a process; one thread each, where there are several."""
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)
    return Body(load_character(resolve(char_file)))


def _make_of_file(out_dir: str, options: VariantOptions, file: InputFile) -> VariantsResult:
    body = _body(options.char_file)
    try:
        clip, terrain = _read(file, body)
    except DataError as error:
        return VariantsResult(skipped=[(file.shown, str(error))])
    job = _Job(Path(out_dir), options, file, body)
    job.note(file.shown, ORIGINAL, "", clip, terrain)
    job.result.sources = 1
    if job.mirror is not None:
        job.write("_mirror", job.mirror.clip(clip), mirrored_terrain(terrain), {"variant_mirrored": True})
    maker = VariantMaker(body, clip, terrain)
    for number in range(options.count):
        job.make(maker, number)
    return job.result


def _read(file: InputFile, body: Body) -> Tuple[MotionClip, Heightfield]:
    """Raises DataError for whatever is not a motion to make variants of."""
    if file.error:
        raise DataError(file.error)
    content = read_motion_terrain(local_file(file), file.shown)
    validate(content, file.shown, body.character.num_bodies, require_terrain=False)
    assert content.motion is not None
    if SOURCE_KEY in read_misc(content, allow_torch=True, where=file.shown):
        raise DataError(f"{file.shown}: a variant itself; give the folder of what it was made from")
    terrain = content.terrain
    if terrain is None:
        terrain = flat_terrain(content.motion.root_pos[:, :2], file.shown)
    found = judge(content.motion, terrain, body.skeleton)
    if found.cause:
        raise DataError(f"{file.shown}: {found}")
    return content.motion, terrain


class _Job:
    """One file's variants."""

    def __init__(self, out_dir: Path, options: VariantOptions, file: InputFile, body: Body) -> None:
        self.result = VariantsResult()
        self.mirror = Mirror(body.character) if options.mirror else None
        self._options, self._body = options, body
        self._stem = os.path.splitext(file.relative)[0]
        self._out = out_dir

    def make(self, maker: VariantMaker, number: int) -> None:
        """One variant, and its mirror image; or why there is none."""
        options = self._options
        kind = options.kinds[number % len(options.kinds)]
        ending = f"_var{number:03d}"
        try:
            made = maker.make(kind, options.seed, number)
        except ImplausibleError as error:
            self.result.dropped.append(Dropped(self._stem + ending, kind, error.reason, str(error)))
            return
        about = {
            "variant_kind": kind,
            "variant_ground": made.ground,
            "variant_seed": options.seed,
            "variant_number": number,
            "variant_mirrored": False,
        }
        path = self.write(ending, made.clip, made.terrain, about)
        self.note(path, kind, made.ground, made.clip, made.terrain)
        if self.mirror is not None:
            about["variant_mirrored"] = True
            self.write(ending + "_mirror", self.mirror.clip(made.clip), mirrored_terrain(made.terrain), about)

    def write(self, ending: str, clip: MotionClip, terrain: Heightfield, about: Dict[str, Any]) -> str:
        """A file; returns its path."""
        path = self._out / f"{self._stem}{ending}.pkl"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"can't make the folder {path.parent}: {error.strerror}") from error
        misc = {SOURCE_KEY: self._stem, "variant_clip": clip_identity(self._stem), **about}
        write_motion_terrain(path, MotionTerrain(clip, terrain, safe_pickle.dumps(misc)))
        self.result.files.append(str(path))
        return str(path)

    def note(self, file: str, kind: str, ground: str, clip: MotionClip, terrain: Heightfield) -> None:
        """Measures a motion."""
        quality, far = self._body.meter.measure(clip, terrain), extremes(self._body, clip)
        self.result.numbers.append(
            {
                "file": file,
                "kind": kind,
                "ground": ground,
                "penetration_max_m": quality.penetration_max_m,
                "foot_skating_m_s": quality.foot_skating_m_s,
                "beyond_range_rad": far.beyond_range_rad,
                "root_acceleration_m_s2": far.root_acceleration_m_s2,
                "joint_acceleration_rad_s2": far.joint_acceleration_rad_s2,
            }
        )
