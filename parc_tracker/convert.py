"""Motion files of older layouts into today's, from the command line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.errors import ConfigError, DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.completion import completed
from parc_core.motion.formats.container import validate
from parc_core.motion.formats.legacy import converted_bytes, read_any
from parc_core.motion.formats.pickle_limits import MAX_FILE_BYTES
from parc_core.motion.plausibility import judge
from parc_core.motion.skeleton import Skeleton
from parc_core.system.files import printable_name, read_regular, write_bytes
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


def run_convert(sources: list[Path], out: Path, how: Conversion) -> None:
    """Converts files and folders; good ones are written even where others are refused.

    Of a folder all `.pkl` are taken, and into containers all `.npz` that have no `.pkl` of their name beside them.

    Raises:
        ConfigError: an unknown format or terrain.
        DataError: no such source, two of one name, or files that could not be converted.
    """
    if how.to not in SUFFIX:
        raise ConfigError(f"--to is {how.to!r}; give container or npz")
    if how.terrain not in TERRAINS:
        raise ConfigError(f"--terrain is {how.terrain!r}; give flat or none")
    converter = _Converter(how)
    targets = _targets(sources, out, how.to)
    refused, notes = [], []
    with counting_bar("converting") as progress:
        for done, (target, source) in enumerate(targets.items(), start=1):
            try:
                data, said = converter.convert(source)
                write_bytes(target, data)
                notes += said
            except DataError as error:
                refused.append(str(error))
            progress(done, len(targets))
    for line in notes:
        print(line)
    print(f"{len(targets) - len(refused)} of {len(targets)} motions in {printable_name(str(out))}")
    if refused:
        for line in refused[1:]:
            print(f"skipped: {line}")
        others = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise DataError(f"{refused[0]}{others}")


class _Converter:
    def __init__(self, how: Conversion) -> None:
        character = load_character(resolve(how.char_file))
        self._how = how
        self._kinematics, self._num_dofs = Kinematics(character), int(character.dof_size)
        self._skeleton = Skeleton.of(character)

    def convert(self, source: Path) -> tuple[bytes, list[str]]:
        """The converted file and what is to be said about it.

        Raises:
            DataError: it cannot be converted.
        """
        where = printable_name(str(source))
        try:
            data = read_regular(source, MAX_FILE_BYTES)
        except OSError as error:
            raise DataError(f"{where}: cannot be read ({error.strerror or error})") from error
        content = read_any(data, where, self._kinematics, self._num_dofs)
        said = [f"{where}: {note}" for note in content.notes]
        bodies = self._kinematics.num_bodies
        content = completed(content, bodies, self._how.terrain == "flat", where)
        if content.motion is not None:
            validate(content, where, bodies, require_terrain=False)
            said += self._judge(content, where)
        return converted_bytes(content, self._how.to, where), said

    def _judge(self, content: MotionTerrain, where: str) -> list[str]:
        assert content.motion is not None
        found = judge(content.motion, content.terrain, self._skeleton)
        if found.cause and not self._how.allow_implausible:
            raise DataError(f"{where}: {found} (--allow-implausible takes it as it is)")
        return [f"{where}: odd, but converted: {found}"] if found.text else []


def _motion_files(folder: Path, to: str) -> list[Path]:
    files = {file for file in folder.rglob("*.pkl") if not file.is_dir()}
    if to == "container":
        files |= {file for file in folder.rglob("*.npz") if file.with_suffix(".pkl") not in files}
    return sorted(files)


def _targets(sources: list[Path], out: Path, to: str) -> dict[Path, Path]:
    """Source of each file to write; files of a folder keep their place below it."""
    found: dict[Path, Path] = {}
    for source in sources:
        files = _motion_files(source, to) if source.is_dir() else [source]
        if not source.exists() or not files:
            raise DataError(f"{printable_name(str(source))}: {_why_nothing(source)}")
        for file in files:
            place = file.relative_to(source) if source.is_dir() else Path(file.name)
            target = (out / place).with_suffix(SUFFIX[to])
            if target in found or target.absolute() == file.absolute():
                raise DataError(
                    f"{printable_name(str(file))}: {printable_name(str(target))} is taken already; give another --out"
                )
            found[target] = file
    return found


def _why_nothing(source: Path) -> str:
    if not source.exists():
        return "no such file or folder; check the path"
    others = Counter(file.suffix for file in source.rglob("*") if file.is_file() and file.suffix)
    if not others:
        return "a folder without motion files; check the path"
    counts = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(3))
    return (
        f"a folder without motion files (.pkl, .npz); it holds {counts}. Motions of other programs have another "
        "skeleton: retarget them to this character first (docs/data.md)"
    )
