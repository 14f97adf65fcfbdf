"""`motions.yaml`: which motions to train on and how often to draw each (spec section 2)."""

from __future__ import annotations

import math
import os
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from parc_core.config.paths import checked_path, expand
from parc_core.config.schema import nearest_key
from parc_core.config.yaml_reader import parse_yaml, read_text, shown
from parc_core.errors import DataError
from parc_core.system import json_text
from parc_core.system.files import PathLike, write_text

# An entry as `write_motions_yaml` writes it, as long as YAML takes its path and number for what they look like.
_PLAIN_ENTRY = re.compile(r"- file: (/[\w./+-]*)\n  weight: ([0-9]+\.[0-9]+(?:e[+-][0-9]+)?)\n", re.ASCII)
_PLAIN_HEAD = "motions:\n"

MAX_BYTES = 256 << 20
"""A dataset file is never larger; a million motions take half of it."""
MAX_WEIGHT = 1e30
_SMALLEST = 1e-30  # of float32 numbers with all their digits
_SHORT = reprlib.Repr()


@dataclass(frozen=True)
class MotionEntry:
    """One motion of a dataset."""

    file: str
    """Path of the motion-terrain file, `$DATA_DIR` expanded."""
    weight: float
    """How often it is drawn, relative to the others; at least 0."""


@dataclass(frozen=True)
class MotionsFile:
    """The content of a `motions.yaml`."""

    entries: List[MotionEntry]
    """In the order of the file."""
    terrain: Optional[str] = None
    """One terrain file for all motions (`terrain_build_mode: file`), or None."""


def read_motions_yaml(path: PathLike) -> MotionsFile:
    """Read a dataset file. Relative motion paths are looked for beside it, else from the working folder.

    Raises:
        DataError: no such file, broken YAML (with its line), a missing key, a bad weight, no motion at all.
        ConfigError: a path holds `$DATA_DIR`, which is not set.
    """
    where = str(path)
    text = read_text(path, DataError, "dataset", MAX_BYTES, "check the path, or create the dataset first")
    plain = _plain_entries(text)
    if plain is not None:
        return _checked(MotionsFile(plain), where)
    data = parse_yaml(text, where, DataError)
    if not isinstance(data, dict) or not isinstance(data.get("motions"), list):
        raise DataError(f"{where}: not a dataset file, it needs a list 'motions' of file and weight")
    _check_keys(data, ("motions", "terrain"), where)
    folder = Path(path).parent
    entries = [_entry(item, i, where, folder) for i, item in enumerate(data["motions"])]
    terrain = data.get("terrain")
    if terrain is not None and not isinstance(terrain, str):
        raise DataError(f"{where}: terrain is {_SHORT.repr(terrain)}, a path is needed")
    return _checked(MotionsFile(entries, None if terrain is None else _place(terrain, folder)), where)


def _checked(motions: MotionsFile, where: str) -> MotionsFile:
    if not motions.entries:
        raise DataError(f"{where}: motions is empty; a dataset needs at least one")
    if not all(
        entry.weight <= MAX_WEIGHT for entry in motions.entries
    ):  # of plain ones; the others are checked
        raise DataError(f"{where}: a weight is not from 0 to {MAX_WEIGHT:g}")
    if not any(entry.weight >= _SMALLEST for entry in motions.entries):
        raise DataError(f"{where}: all weights are 0; at least one motion must be drawn")
    return motions


def _plain_entries(text: str) -> Optional[List[MotionEntry]]:
    """The entries of a file that holds nothing but plain ones, 20 times as fast as YAML reads them; else None."""
    if not text.startswith(_PLAIN_HEAD):
        return None
    found = list(_PLAIN_ENTRY.finditer(text, len(_PLAIN_HEAD)))
    end = len(_PLAIN_HEAD)
    for match in found:
        if match.start() != end:
            return None
        end = match.end()
    return [MotionEntry(_tidy(m[1]), float(m[2])) for m in found] if end == len(text) else None


def write_motions_yaml(path: PathLike, motions: MotionsFile) -> None:
    """Write a dataset file atomically, with PARC's keys alone.

    Raises:
        ConfigError: the place cannot be written.
    """
    import yaml

    data: Dict[str, Any] = {"motions": [{"file": e.file, "weight": float(e.weight)} for e in motions.entries]}
    if motions.terrain is not None:
        data["terrain"] = motions.terrain
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    write_text(path, yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True, width=10_000))


def manifest_path(motions_yaml: PathLike) -> Path:
    """Where the manifest lies: `manifest.json` beside motions.yaml, `x.manifest.json` beside x.yaml."""
    path = Path(motions_yaml)
    return path.with_name("manifest.json" if path.stem == "motions" else f"{path.stem}.manifest.json")


def display_names(motions_yaml: PathLike, motions: MotionsFile) -> List[str]:
    """Names of the entries for people: from the manifest (`<class>/<stem>`) where there is one, else the stem.

    Names are unique: what is still equal gets the number of its entry.
    """
    known = _names_of_manifest(manifest_path(motions_yaml))
    files = [os.path.basename(e.file) for e in motions.entries]
    names = [
        known.get(entry.file) or known.get(file, os.path.splitext(file)[0])
        for entry, file in zip(motions.entries, files)
    ]
    seen: Dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    return [name if seen[name] == 1 else f"{name}#{i}" for i, name in enumerate(names)]


def _names_of_manifest(path: Path) -> Dict[str, str]:
    try:
        motions = json_text.parse(path.read_text(encoding="utf-8"))["motions"]
        names = {os.path.basename(item["file"]): str(item["name"]) for item in motions}
        return {**names, **{str(item["file"]): str(item["name"]) for item in motions}}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # names are a convenience: a dataset without manifest, or with a foreign one, is fine


def _entry(item: Any, index: int, where: str, folder: Path) -> MotionEntry:
    at = f"{where}: motions[{index}]"
    if not isinstance(item, dict) or not isinstance(item.get("file"), str):
        raise DataError(f"{at} has no 'file'; each motion needs a file and a weight")
    _check_keys(item, ("file", "weight"), at)
    weight = item.get("weight", 1.0)
    try:
        # YAML 1.1 reads 5e-5 (no dot) as text.
        number = math.nan if isinstance(weight, (bool, list, dict)) else float(weight)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= MAX_WEIGHT:
        raise DataError(
            f"{at} ({shown(item['file'])}): weight is {_SHORT.repr(weight)}, a number from 0 to {MAX_WEIGHT:g} "
            "is needed"
        )
    return MotionEntry(_place(item["file"], folder), number)


def _check_keys(data: Dict[Any, Any], known: Sequence[str], where: str) -> None:
    unknown = [key for key in data if key not in known]
    if unknown:
        near = nearest_key(unknown[0], list(known))
        raise DataError(f"{where}: unknown key '{shown(unknown[0])}'; the nearest known key is '{near}'")


def _place(text: str, folder: Path) -> str:
    expanded = checked_path(expand(checked_path(text, DataError)), DataError)
    if os.path.isabs(expanded):
        return _tidy(expanded)
    path = Path(expanded)
    beside = folder / path
    return str(beside if beside.exists() else path)


def _tidy(path: str) -> str:
    """An absolute path as pathlib writes it; thousands of `Path` objects take long to make."""
    return str(Path(path)) if "//" in path or "/./" in path or path.endswith(("/", "/.")) else path
