"""A dataset in two: clips to train on, and clips that the training never sees.

What goes back to one clip (variants, mirror images, recordings) stays together: by its name (`clip_identity`), and by
the way of its root where names do not say it (`twins.same_motions`).
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.build import class_weights
from parc_core.motion.dataset.clip_list import ListedClip, class_exponent_of, list_clips
from parc_core.motion.dataset.dataset_file import (
    MotionEntry,
    MotionsFile,
    manifest_path,
    read_motions_yaml,
    write_motions_yaml,
)
from parc_core.motion.dataset.merge import output_folder
from parc_core.motion.dataset.twins import same_motions
from parc_core.system.files import PathLike, dump_json, sha256_bytes, write_json

TRAIN, HELD_OUT = "train", "held_out"
"""Names of the two parts, and of their files."""


def parse_share(text: str) -> float:
    """`10%` or `0.1` as a share.

    Raises:
        ConfigError: neither, or not between 0 and 1.
    """
    number, percent, rest = text.strip().partition("%")
    try:
        share = math.nan if rest else float(number) / (100.0 if percent else 1.0)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise ConfigError(f"--held-out is '{text}'; give a share of the clips such as 10% or 0.1")
    return share


def choose_held_out(class_of: Dict[str, str], share: float, seed: int) -> Set[str]:
    """Which clips are held out, the same ones for the same clips, share and seed.

    Every class gives its share, rounded so that the sum is right, and keeps at least one clip to train on; classes of
    a single clip are taken together. The order in which the clips of a class are chosen depends on names and seed
    alone: a clip that is added later changes no other's place in it.

    Args:
        class_of: class ("" for none) of each clip, by identity.
        share: of the clips, in (0, 1).
        seed: of the choice.

    Raises:
        DataError: there are fewer than two clips.
    """
    if len(class_of) < 2:
        raise DataError(
            f"a split needs at least two clips that are no variants of each other, there is {len(class_of)}"
        )
    size = Counter(class_of.values())
    groups: Dict[str, List[str]] = {}
    for identity, name in class_of.items():
        groups.setdefault(name if size[name] > 1 else "", []).append(identity)
    counts = _counts({name: len(group) for name, group in groups.items()}, share)
    return {
        identity
        for name, group in groups.items()
        for identity in sorted(group, key=lambda each: _rank(each, seed))[: counts[name]]
    }


def _rank(identity: str, seed: int) -> str:
    return sha256_bytes(f"{seed}\0{identity}".encode("utf-8", "surrogateescape"))


def _counts(sizes: Dict[str, int], share: float) -> Dict[str, int]:
    """How many of each group: shares rounded down, and the rest where most is missing; at least 1 in all."""
    wanted = max(1, round(share * sum(sizes.values())))
    counts = {name: min(int(share * size), size - 1) for name, size in sizes.items()}
    by_need = sorted(sizes, key=lambda name: (counts[name] - share * sizes[name], name))
    for name in by_need:
        if sum(counts.values()) < wanted and counts[name] < sizes[name] - 1:
            counts[name] += 1
    return counts


def split_dataset(motions_yaml: PathLike, out_dir: PathLike, share: float, seed: int = 0) -> Dict[str, Any]:
    """Writes `train.yaml` and `held_out.yaml`, each with its manifest; the motion files stay where they are.

    Weights are made anew, as the dataset's were, where a merge has written it; else they stay.

    Args:
        motions_yaml: the dataset.
        out_dir: where the two go.
        share: of the clips that is held out, in (0, 1).
        seed: of the choice.

    Returns:
        `train` and `held_out`, each with `motions_yaml` (path), `motions`, `clips` (by identity), `length` (s, None
        where it is not known) and `classes` (name -> motions); `held_out_clips` (identities, sorted), `share`, `seed`.

    Raises:
        DataError: the dataset cannot be read, or has fewer than two clips.
        ConfigError: `out_dir` cannot be written.
    """
    clips, terrain = _one_identity_a_motion(list_clips(motions_yaml)), read_motions_yaml(motions_yaml).terrain
    held_out = choose_held_out(_class_of(clips), share, seed)
    parts: Dict[str, List[ListedClip]] = {TRAIN: [], HELD_OUT: []}
    for clip in clips:
        parts[HELD_OUT if clip.identity in held_out else TRAIN].append(clip)
    how = {"of": sha256_bytes(Path(motions_yaml).read_bytes()), "share": share, "seed": seed}
    exponent = class_exponent_of(motions_yaml)
    result: Dict[str, Any] = {
        name: _write_part(
            output_folder(out_dir) / f"{name}.yaml", part, terrain, {**how, "part": name}, exponent
        )
        for name, part in parts.items()
    }
    return {**result, "held_out_clips": sorted(held_out), "share": share, "seed": seed}


def _one_identity_a_motion(clips: List[ListedClip]) -> List[ListedClip]:
    """Clips that are the same motion under different names get the name of the first, and so do their variants."""
    first = same_motions([clip.entry.file for clip in clips])
    name_of: Dict[str, str] = {}
    for clip, place in zip(clips, first):
        one, other = (_followed(name_of, each.identity) for each in (clips[place], clip))
        if one != other:
            name_of[other] = one
    return [dataclasses.replace(clip, identity=_followed(name_of, clip.identity)) for clip in clips]


def _followed(name_of: Dict[str, str], identity: str) -> str:
    while identity in name_of:
        identity = name_of[identity]
    return identity


def _class_of(clips: Sequence[ListedClip]) -> Dict[str, str]:
    """Class of each identity: that of the clip which bears its name, else of the first of its variants."""
    found: Dict[str, str] = {}
    for clip in sorted(clips, key=lambda clip: (clip.name.rpartition("/")[2] != clip.identity, clip.name)):
        found.setdefault(clip.identity, clip.motion_class)
    return found


def _write_part(
    path: Path, clips: List[ListedClip], terrain: Optional[str], how: Dict[str, Any], exponent: float
) -> Dict[str, Any]:
    weights, lengths = _weights(clips, exponent)
    items = [
        {**(clip.facts or {"file": os.path.abspath(clip.entry.file)}), "name": clip.name, "weight": weight}
        for clip, weight in zip(clips, weights)
    ]
    classes = dict(sorted(Counter(clip.motion_class for clip in clips).items()))
    settings = {"class_exponent": exponent}
    manifest: Dict[str, Any] = {"format": 1, "split": how, "settings": settings, "motions": items}
    if lengths is not None:
        hashes = [str(item["facts"]["sha256"]) for item in items]
        content = [[item["name"], digest, item["weight"]] for item, digest in zip(items, hashes)]
        manifest["sha256"] = sha256_bytes(dump_json(content).encode("utf-8"))
        manifest["classes"] = {
            name: {
                "motions": count,
                "length": sum(s for clip, s in zip(clips, lengths) if clip.motion_class == name),
            }
            for name, count in classes.items()
        }
        manifest["names"] = dict(zip(hashes, (item["name"] for item in items)))
    write_json(manifest_path(path), manifest)
    write_motions_yaml(
        path,
        MotionsFile(
            [MotionEntry(os.path.abspath(c.entry.file), w) for c, w in zip(clips, weights)],
            None if terrain is None else os.path.abspath(terrain),
        ),
    )
    return {
        "motions_yaml": str(path),
        "motions": len(clips),
        "clips": len({clip.identity for clip in clips}),
        "length": None if lengths is None else sum(lengths),
        "classes": classes,
    }


def _weights(clips: Sequence[ListedClip], exponent: float) -> Tuple[List[float], Optional[List[float]]]:
    """Weights and lengths (s) of the clips of a part; those of the dataset and None where no merge has written it."""
    known = [clip.facts for clip in clips if clip.facts is not None]
    if len(known) < len(clips):
        return [clip.entry.weight for clip in clips], None
    lengths = [float(facts["length"]) for facts in known]
    return class_weights([clip.motion_class for clip in clips], lengths, exponent), lengths
