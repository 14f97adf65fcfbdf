"""Motion files of older layouts into today's, from the command line."""

from __future__ import annotations

from pathlib import Path

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.errors import ConfigError, DataError
from parc_core.motion.formats.legacy import converted_bytes, read_any
from parc_core.system.files import write_bytes
from parc_tracker.progress import counting_bar

SUFFIX = {"container": ".pkl", "npz": ".npz"}


def run_convert(sources: list[Path], out: Path, to: str, char_file: str) -> None:
    """Converts files and folders; good ones are written even where others are refused.

    Of a folder all `.pkl` are taken, and into containers all `.npz` that have no `.pkl` of their name beside them.

    Raises:
        ConfigError: an unknown format.
        DataError: no such source, two of one name, or files that could not be converted.
    """
    if to not in SUFFIX:
        raise ConfigError(f"--to is {to!r}; give container or npz")
    character = load_character(resolve(char_file))
    kinematics, num_dofs = Kinematics(character), int(character.dof_size)
    targets = _targets(sources, out, to)
    refused = []
    with counting_bar("converting") as progress:
        for done, (target, source) in enumerate(targets.items(), start=1):
            try:
                content = read_any(source.read_bytes(), str(source), kinematics, num_dofs)
                write_bytes(target, converted_bytes(content, to, str(source)))
            except (DataError, OSError) as error:
                refused.append(str(error))
            progress(done, len(targets))
    print(f"{len(targets) - len(refused)} of {len(targets)} motions in {out}")
    if refused:
        others = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise DataError(f"{refused[0]}{others}")


def _motion_files(folder: Path, to: str) -> list[Path]:
    files = set(folder.rglob("*.pkl"))
    if to == "container":
        files |= {file for file in folder.rglob("*.npz") if file.with_suffix(".pkl") not in files}
    return sorted(files)


def _targets(sources: list[Path], out: Path, to: str) -> dict[Path, Path]:
    """Source of each file to write; files of a folder keep their place below it."""
    found: dict[Path, Path] = {}
    for source in sources:
        files = _motion_files(source, to) if source.is_dir() else [source]
        if not source.exists() or not files:
            raise DataError(f"{source}: no such file, or a folder without motion files; check the path")
        for file in files:
            place = file.relative_to(source) if source.is_dir() else Path(file.name)
            target = (out / place).with_suffix(SUFFIX[to])
            if target in found or target.absolute() == file.absolute():
                raise DataError(f"{file}: {target} is taken already; give another --out")
            found[target] = file
    return found
