"""What merging motion folders gave, as plain data that fits a JSON file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List

from parc_core.errors import DataError
from parc_core.motion.dataset.file_index import FileFacts
from parc_core.system import json_text
from parc_core.system.files import PathLike, write_json

_FACTS = ("sha256", "frames", "fps", "nx", "ny", "dx")
"""What the file says of a motion's content; a kept one has no error."""

_REMARKS = ("implausible", "notes")
"""What is written only where there is something to say."""


@dataclass(frozen=True)
class MergedMotion:
    """One motion that was kept."""

    file: str
    """Name of the copy inside the motions folder: `<class>__<stem>__<first 8 of sha256>.pkl`."""
    name: str
    """For people, unique: `<class>/<stem>`, with `-<first 8 of sha256>` where that is not enough."""
    motion_class: str
    """First folder below the root."""
    facts: FileFacts
    """Of the copy."""
    source: str
    """The input file that it was copied from."""

    @property
    def sha256(self) -> str:
        """Of the copy's content."""
        return self.facts.sha256

    @property
    def length(self) -> float:
        """Seconds for the weights: n / fps (spec section 2)."""
        return self.facts.frames / self.facts.fps


@dataclass(frozen=True)
class Rejected:
    """An input file that is not in the dataset."""

    path: str
    motion_class: str
    reason: str


@dataclass(frozen=True)
class Duplicate:
    """An input file whose content is in the dataset already."""

    path: str
    motion_class: str
    same_as: str


@dataclass(frozen=True)
class MergeResult:
    """The whole result of `merge_folders`."""

    motions_dir: str
    """Absolute folder of the copies."""
    fingerprint: str
    """Of all inputs; see `merge.inputs_fingerprint`."""
    classes: List[str]
    """Sorted; also those of which no motion was kept."""
    motions: List[MergedMotion]
    """Sorted by class and name."""
    rejected: List[Rejected]
    duplicates: List[Duplicate]
    num_read: int = 0
    """Input files that this merge had to read (the others were unchanged); not kept in the file."""

    def remarks(self) -> List[str]:
        """Lines for people: each file that was left out, with the reason, and what reading others changes."""
        lines = [f"skipped: {item.path}: {item.reason}" for item in self.rejected]
        for motion in self.motions:
            if motion.facts.implausible:
                lines.append(f"taken though implausible: {motion.source}: {motion.facts.implausible}")
            if motion.facts.notes:
                lines.append(f"{motion.source}: {motion.facts.notes}")
        return lines

    def path_of(self, motion: MergedMotion) -> Path:
        """Absolute path of a motion's copy."""
        return Path(self.motions_dir) / motion.file


def write_merge_result(path: PathLike, result: MergeResult) -> None:
    """Write `result` as JSON, atomically; merging the same again gives the same file."""
    data = asdict(result)
    del data["num_read"]
    data["motions"] = [_flat(motion) for motion in data["motions"]]
    write_json(path, data)


def read_merge_result(path: PathLike) -> MergeResult:
    """Read what `write_merge_result` wrote.

    Raises:
        DataError: missing, or not such a file.
    """
    try:
        data: Dict[str, Any] = json_text.parse(Path(path).read_text(encoding="utf-8"))
        data["motions"] = [_nested(item) for item in data["motions"]]
        data["rejected"] = [Rejected(**item) for item in data["rejected"]]
        data["duplicates"] = [Duplicate(**item) for item in data["duplicates"]]
        return MergeResult(**data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not the result of a merge ({error}); merge again") from error


def _flat(motion: Dict[str, Any]) -> Dict[str, Any]:
    """A motion as it stands in the file: its facts among its own fields."""
    facts = motion["facts"]
    return {
        **{key: motion[key] for key in ("file", "name", "motion_class")},
        **{key: facts[key] for key in _FACTS},
        **{key: facts[key] for key in _REMARKS if facts[key]},
        "source": motion["source"],
    }


def _nested(item: Dict[str, Any]) -> MergedMotion:
    remarks = {key: item.pop(key, "") for key in _REMARKS}
    facts = FileFacts(**{key: item.pop(key) for key in _FACTS}, **remarks)
    return MergedMotion(facts=facts, **item)
