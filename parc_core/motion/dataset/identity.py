"""Which clip a motion file was made from, by its name.

A data set that is split for training and for checking must not have a variant or the mirror image of a clip on one side
and the clip itself on the other.
"""

from __future__ import annotations

import re

_MADE_FROM = re.compile(r"(?:_(?:var|mirror|part)[0-9]*|_dm)+(?=(?:_[0-9]+)?$)")
_SUFFIXES = (".pkl", ".npz")


def clip_identity(name: str) -> str:
    """Name of the clip that a motion file goes back to: `walk` for `walk_var003_mirror.pkl`.

    Endings that say how a file was made from another one are taken off: `_var`, `_mirror` and `_part` (of a long
    take), with or without a number, and `_dm` of a recording, in any order. Such an ending before the number of a
    piece goes, too: `walk1_mirror_002` is the mirror image of `walk1_002`. What would leave nothing stays.

    Args:
        name: stem, file name or path, with / between folders; folders say nothing about the identity.
    """
    stem = name.rsplit("/", 1)[-1]
    for suffix in _SUFFIXES:
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
    shorter = stem[:1] + _MADE_FROM.sub("", stem[1:])
    return stem if shorter == stem else clip_identity(shorter)
