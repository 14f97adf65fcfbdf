"""A word at the start of a training about motions that cannot be right, where no merge has looked at them."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Iterator, Union

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.motion.dataset.dataset_file import manifest_path
from parc_core.motion.plausibility import judge
from parc_core.motion.skeleton import Skeleton

if TYPE_CHECKING:
    from parc_core.character.model import Character
    from parc_core.motion.dataset.loading import LoadedDataset

_MAX_MOTIONS = 1000  # some milliseconds each
_MAX_LINES = 10


def warn_of_slips(
    motions_yaml: Union[str, os.PathLike], dataset: LoadedDataset, character: Character
) -> None:
    """Warns of motions with an evident slip in a dataset without manifest: made by hand, or by PARC's own tools.

    Merged datasets are not judged again: what is in them passed, or was wanted (`allow_implausible`).

    Args:
        motions_yaml: the dataset file.
        dataset: what was loaded of it; its first 1000 motions are judged.
        character: that the motions move.
    """
    if manifest_path(motions_yaml).is_file():
        return
    skeleton = Skeleton.of(character)
    judged = [
        (file, judge(clip, terrain, skeleton))
        for file, clip, terrain in zip(dataset.files, _clips(dataset), dataset.terrains.heightfields())
    ]
    lines = [f"{file}: {found}" for file, found in judged if found.cause]
    for line in lines[:_MAX_LINES]:
        warnings.warn(line, stacklevel=2)
    if len(lines) > _MAX_LINES:
        warnings.warn(f"{len(lines) - _MAX_LINES} more motions cannot be right either", stacklevel=2)


def _clips(dataset: LoadedDataset) -> Iterator[MotionClip]:
    arrays = dataset.arrays
    ends = np.cumsum(arrays.num_frames)
    for number in range(min(dataset.num_motions, _MAX_MOTIONS)):
        part = slice(int(ends[number] - arrays.num_frames[number]), int(ends[number]))
        yield MotionClip(
            arrays.root_pos[part],
            arrays.root_rot[part],
            arrays.joint_rot[part],
            arrays.contacts[part],
            int(arrays.fps[number]),
            "WRAP" if arrays.loop_wrap[number] else "CLAMP",
        )
