"""Motions as a library gives them."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Sequence, Union

from parc_core.character.mjcf import load_character
from parc_core.config.paths import existing_file, resolve
from parc_core.errors import DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.dataset_file import display_names, read_motions_yaml
from parc_core.motion.dataset.of_folder import dataset_of_folder
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.storage.references import work_folder
from parc_core.system.files import PathLike

HUMANOID = "data/assets/humanoid.xml"
Which = Union[int, str]
"""A clip of a dataset: its place or its name."""


@dataclass(frozen=True)
class Dataset:
    """M motions with their terrains."""

    motions_yaml: Path
    """The dataset file; `motion_file` of an environment."""
    names: List[str]
    """M display names, `<class>/<file>` where the dataset has classes."""
    files: List[str]
    """M paths."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, which: Which) -> MotionTerrain:
        """The content of a motion's file: frames, contacts and terrain."""
        return read_motion_terrain(self.files[place_of(which, self.names)])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names


def place_of(which: Which, names: Sequence[str]) -> int:
    """The place of a clip that is named or counted, negative ones from the end.

    Raises:
        DataError: there is none such.
    """
    if isinstance(which, str):
        if which not in names:
            shown = ", ".join(list(names)[:5]) + (", …" if len(names) > 5 else "")
            raise DataError(f"no clip is called '{which}'; there are {shown}")
        return list(names).index(which)
    if not -len(names) <= which < len(names):
        raise DataError(f"there is no clip {which}: they are counted from 0 to {len(names) - 1}")
    return int(which) % len(names)


def load_dataset(source: PathLike, char_file: PathLike = HUMANOID) -> Dataset:
    """A dataset that lies on this machine.

    Args:
        source: a `motions.yaml`, or a folder: with a `motions.yaml` in it, else of motion files, sorted by name. Files
            of a folder that cannot be used are named on stderr and left out, and the list of the others is kept in
            the work folder of the store (`$PARC_STORE`, `.parc/store`).
        char_file: MJCF of the character that the motions move, for that check.

    Raises:
        ConfigError: there is no such file.
        DataError: no motion can be used.
    """
    path = resolve(source)
    if path.is_dir():
        num_bodies = load_character(resolve(char_file)).num_bodies
        key = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        out = work_folder() / "folders" / key
        path = dataset_of_folder(path, out, num_bodies, lambda line: print(line, file=sys.stderr))
    listing = read_motions_yaml(existing_file(path, "source", "load_dataset"))
    return Dataset(path, display_names(path, listing), [entry.file for entry in listing.entries])
