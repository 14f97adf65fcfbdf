"""Where a recording lies: `recorded_motions/<class>/<motion>_dm.pkl` (PARC's rule for classes)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Set, Tuple

from parc_core.motion.dataset.dataset_file import MotionsFile, manifest_path
from parc_core.system import json_text
from parc_core.system.files import PathLike

FOLDER = "recorded_motions"
SUFFIX = "_dm"
_NUMBERED = re.compile(r"^(.*?)_(\d+)_.*\.pkl$")
_COPY = re.compile(r"^(.+?)__(.+)__[0-9a-f]{8}$")  # a merged copy: class__stem__hash
_GROUP = 50  # motions in a class


class Place(NamedTuple):
    """Class folder and file name without suffix."""

    motion_class: str
    stem: str

    @property
    def path(self) -> str:
        """Below the folder of recordings."""
        return f"{self.motion_class}/{self.stem}.pkl"


def recording_places(motions_yaml: PathLike, motions: MotionsFile) -> List[Place]:
    """The places of a dataset's recordings, in its order; stems are unique.

    PARC groups motions by the number in their names: `teaser_57_2_opt` goes to class `teaser_50_99`. One without such
    a number goes to the class that it has. Class and stem are the manifest's where there is one, since the names of
    merged copies end with a hash that may be all digits.
    """
    known = _named_by_manifest(manifest_path(motions_yaml))
    taken: Set[str] = set()
    places = []
    for entry in motions.entries:
        motion_class, stem = known.get(os.path.basename(entry.file)) or _named_by_path(entry.file)
        own = _free(f"{_seen(stem)}{SUFFIX}", _seen(motion_class), taken)
        places.append(Place(_seen(_class_of(stem) or motion_class) or "motions", own))
    return places


def _class_of(stem: str) -> str:
    """`teaser_50_99` for `teaser_57_2_opt`; empty where the name has no number inside."""
    match = _NUMBERED.match(f"{stem}.pkl")
    if match is None:
        return ""
    first = int(match[2]) // _GROUP * _GROUP
    return f"{match[1]}_{first}_{first + _GROUP - 1}"


def _seen(name: str) -> str:
    """Merges pass over what has "ignore" in its path, and over hidden folders."""
    return name.replace("ignore", "ign_re").lstrip(".")


def _free(stem: str, motion_class: str, taken: Set[str]) -> str:
    """The stem, with its class or a number in front where another motion has it."""
    found, count = stem, 1
    if found in taken:
        found = f"{motion_class}_{stem}"
    while found in taken:
        count += 1
        found = f"{motion_class}_{count}_{stem}"
    taken.add(found)
    return found


def _named_by_path(file: str) -> Tuple[str, str]:
    """Class and stem of a motion that no manifest knows."""
    stem = Path(file).stem
    match = _COPY.match(stem)
    return (match[1], match[2]) if match else (Path(file).absolute().parent.name, stem)


def _named_by_manifest(path: Path) -> Dict[str, Tuple[str, str]]:
    """Class and stem by the file name of the copy; empty without a manifest, or with a foreign one."""
    try:
        motions = json_text.parse(path.read_text(encoding="utf-8"))["motions"]
        return {
            os.path.basename(item["file"]): (str(item["motion_class"]), Path(str(item["source"])).stem)
            for item in motions
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
