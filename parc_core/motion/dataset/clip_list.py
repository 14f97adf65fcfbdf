"""The clips of a dataset file with their classes and what each goes back to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from parc_core.motion.dataset.dataset_file import (
    MotionEntry,
    display_names,
    manifest_path,
    read_motions_yaml,
)
from parc_core.motion.dataset.identity import clip_identity
from parc_core.system import json_text
from parc_core.system.files import PathLike

_COPY = re.compile(r".*?__(.+)__[0-9a-f]{8}")
"""A merged copy's stem: `<class>__<stem>__<first 8 of its SHA-256>`."""


@dataclass(frozen=True)
class ListedClip:
    """One entry of a dataset file."""

    entry: MotionEntry
    name: str
    """For people, unique: `<class>/<stem>` where the dataset has a manifest."""
    motion_class: str
    """The class, or "" where there is none."""
    identity: str
    """What it goes back to (`clip_identity` of the file that it was copied from)."""
    facts: Optional[Dict[str, Any]] = None
    """What the manifest says of it, where a merge has written one."""


def list_clips(motions_yaml: PathLike) -> List[ListedClip]:
    """The clips of a dataset file, in its order.

    Raises:
        DataError: see `read_motions_yaml`.
    """
    listing = read_motions_yaml(motions_yaml)
    known = _manifest_items(manifest_path(motions_yaml))
    clips = []
    for entry, name in zip(listing.entries, display_names(motions_yaml, listing)):
        facts = known.get(os.path.basename(entry.file))
        source = (facts or {}).get("source") or _own_name(entry.file)
        merged = facts if facts is not None and "motion_class" in facts and "length" in facts else None
        clips.append(
            ListedClip(entry, name, name.rpartition("/")[0], clip_identity(str(source)), facts=merged)
        )
    return clips


def _own_name(file: str) -> str:
    """The file's stem; of a merged copy that of what it was made from."""
    stem = Path(file).stem
    copy = _COPY.fullmatch(stem)
    return copy[1] if copy else stem


def class_exponent_of(motions_yaml: PathLike) -> float:
    """By which exponent (`DatasetConfig.class_exponent`) the weights of a dataset were made; 0 where it is not said."""
    try:
        content = json_text.parse(manifest_path(motions_yaml).read_text(encoding="utf-8"))
        exponent = float(content["settings"]["class_exponent"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
    return exponent if 0 <= exponent <= 1 else 0.0


def _manifest_items(path: Path) -> Dict[str, Dict[str, Any]]:
    """By file name; empty without a manifest, or with a foreign one."""
    try:
        motions = json_text.parse(path.read_text(encoding="utf-8"))["motions"]
        return {os.path.basename(item["file"]): dict(item) for item in motions}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def shared_identities(training: PathLike, held_out: PathLike) -> List[str]:
    """Names of the held-out clips that the training sees too, as they are or as a variant or mirror image.

    Args:
        training, held_out: dataset files.
    """
    trained = {clip.identity for clip in list_clips(training)}
    return [clip.name for clip in list_clips(held_out) if clip.identity in trained]
