"""Motion files of older layouts into today's, from the command line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.errors import ConfigError, DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.completion import completed
from parc_core.motion.formats.legacy import converted_bytes, read_any
from parc_core.motion.formats.pickle_limits import MAX_FILE_BYTES
from parc_core.motion.plausibility import judge
from parc_core.motion.skeleton import Skeleton
from parc_core.motion.validation import validate
from parc_core.system.files import printable_name, read_regular, write_bytes
from parc_tracker.convert_captures import SUFFIXES as CAPTURES
from parc_tracker.convert_captures import CaptureConverter, CaptureOptions
from parc_tracker.convert_report import Report
from parc_tracker.progress import counting_bar

SUFFIX = {"container": ".pkl", "npz": ".npz"}
TERRAINS = ("flat", "none")


@dataclass(frozen=True)
class Conversion:
    """How files are converted."""

    to: str = "container"
    """"container" or "npz"."""
    char_file: str = "data/assets/humanoid.xml"
    """MJCF of the motions' character."""
    terrain: str = "flat"
    """What motions without terrain get: "flat" or "none"."""
    allow_implausible: bool = False
    """Also motions that cannot be right."""
    captures: CaptureOptions = field(default_factory=CaptureOptions)
    """Of motion capture: skeleton, cutting, limits."""


def run_convert(
    sources: list[Path], out: Path, how: Conversion, as_json: bool = False, csv: Path | None = None
) -> None:
    """Converts files and folders; good ones are written even where others are refused.

    Of a folder all `.pkl` and motion capture files are taken, and into containers all `.npz` that have no `.pkl` of
    their name beside them.

    Args:
        sources: files and folders.
        out: the output folder.
        how: how files are converted.
        as_json: print the report as JSON.
        csv: where the numbers of each clip of motion capture are written.

    Raises:
        ConfigError: an unknown format or terrain.
        DataError: no such source, two of one name, files that could not be converted, or every clip was rejected.
    """
    if how.to not in SUFFIX:
        raise ConfigError(f"--to is {how.to!r}; give container or npz")
    if how.terrain not in TERRAINS:
        raise ConfigError(f"--terrain is {how.terrain!r}; give flat or none")
    targets = _targets(sources, out, how.to)
    converter = _Converter(how, targets)
    report = Report(out)
    with counting_bar("converting") as progress:
        for done, (target, source) in enumerate(targets.items(), start=1):
            try:
                converter.convert(source, target, report)
            except DataError as error:
                report.refused.append(str(error))
            progress(done, len(targets))
    if csv is not None:
        report.write_csv(csv)
    report.show(as_json, len(targets))


class _Converter:
    def __init__(self, how: Conversion, targets: Iterable[Path]) -> None:
        character = load_character(resolve(how.char_file))
        self._how, self._targets = how, frozenset(targets)
        self._kinematics, self._num_dofs = Kinematics(character), int(character.dof_size)
        self._skeleton = Skeleton.of(character)
        self._captures = CaptureConverter(character, how.captures, how.terrain == "flat")

    def convert(self, source: Path, target: Path, report: Report) -> None:
        """Writes the converted file, or the clips of a take, and reports what is to be said.

        Raises:
            DataError: it cannot be converted.
        """
        where = printable_name(str(source))
        try:
            data = read_regular(source, MAX_FILE_BYTES)
        except OSError as error:
            raise DataError(f"{where}: cannot be read ({error.strerror or error})") from error
        clips = self._captures.convert(source, data, where, self._how.allow_implausible)
        if clips is None:
            self._convert_own(data, where, target, report)
            return
        places = [target.with_name(target.stem + clip.ending + target.suffix) for clip in clips]
        for old in _of_earlier_cutting(target, {*places, *self._targets - {target}}):
            shown = printable_name(str(old))
            report.notes.append(f"{shown}: of an earlier conversion of this take, so remove it")
        for place, clip in zip(places, clips, strict=True):
            if not clip.reason:
                write_bytes(place, converted_bytes(clip.content, self._how.to, where))
            elif place.exists():
                shown = printable_name(str(place))
                report.notes.append(
                    f"{shown}: of an earlier conversion; its clip is rejected now, so remove it"
                )
            report.add(place, where, clip)

    def _convert_own(self, data: bytes, where: str, target: Path, report: Report) -> None:
        """A motion of the character's own."""
        content = read_any(data, where, self._kinematics, self._num_dofs)
        said = [f"{where}: {note}" for note in content.notes]
        bodies = self._kinematics.num_bodies
        content = completed(content, bodies, self._how.terrain == "flat", where)
        if content.motion is not None:
            validate(content, where, bodies, require_terrain=False)
            said += self._judge(content, where)
        write_bytes(target, converted_bytes(content, self._how.to, where))
        report.converted += 1
        report.notes += said

    def _judge(self, content: MotionTerrain, where: str) -> list[str]:
        assert content.motion is not None
        found = judge(content.motion, content.terrain, self._skeleton)
        if found.cause and not self._how.allow_implausible:
            raise DataError(f"{where}: {found} (--allow-implausible takes it as it is)")
        return [f"{where}: odd, but converted: {found}"] if found.text else []


def _of_earlier_cutting(target: Path, current: set[Path]) -> list[Path]:
    """Clips of a take that it is not cut into any more: the whole, or other pieces."""
    pieces = re.compile(re.escape(target.stem) + r"(_part[1-9][0-9]*)?")
    beside = target.parent.iterdir() if target.parent.is_dir() else ()
    found = (
        file for file in beside if file.suffix == target.suffix and pieces.fullmatch(file.stem) is not None
    )
    return sorted(
        (file for file in found if file not in current), key=lambda file: (len(file.name), file.name)
    )


def _motion_files(folder: Path, to: str) -> list[Path]:
    files = {file for file in folder.rglob("*") if file.suffix == ".pkl" or _is_capture(file)}
    files = {file for file in files if not file.is_dir()}
    if to == "container":
        files |= {file for file in folder.rglob("*.npz") if file.with_suffix(".pkl") not in files}
    return sorted(files, key=lambda file: (_is_capture(file), file))  # those may take other names


def _is_capture(file: Path) -> bool:
    """By its ending, which programs write in capitals, too."""
    return file.suffix.lower() in CAPTURES


def _targets(sources: list[Path], out: Path, to: str) -> dict[Path, Path]:
    """Source of each file to write; files of a folder keep their place below it."""
    found: dict[Path, Path] = {}
    for source in sources:
        files = _motion_files(source, to) if source.is_dir() else [source]
        if not source.exists() or not files:
            raise DataError(f"{printable_name(str(source))}: {_why_nothing(source)}")
        for file in files:
            target = (out / _place(file, source)).with_suffix(SUFFIX[to])
            if target in found and _is_capture(file):
                target = target.with_name(f"{file.stem}_{file.suffix[1:]}{SUFFIX[to]}")
            if target in found or target.absolute() == file.absolute():
                raise DataError(
                    f"{printable_name(str(file))}: {printable_name(str(target))} is taken already; give another --out"
                )
            found[target] = file
    return found


def _place(file: Path, source: Path) -> Path:
    """Of a file below the output folder; takes that lie in no folder of their own are a class, named by the source."""
    if not source.is_dir():
        return Path(file.name)
    place = file.relative_to(source)
    alone = _is_capture(file) and len(place.parts) == 1
    return Path(source.resolve().name or "motions", place) if alone else place


def _why_nothing(source: Path) -> str:
    if not source.exists():
        return "no such file or folder; check the path"
    others = Counter(file.suffix for file in source.rglob("*") if file.is_file() and file.suffix)
    if not others:
        return "a folder without motion files; check the path"
    counts = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(3))
    return (
        f"a folder without motion files (.pkl, .npz, .bvh, .npy); it holds {counts}. Motions of other programs have "
        "another skeleton: export them as BVH, or retarget them to this character (docs/mocap.md)"
    )
