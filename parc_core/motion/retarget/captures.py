"""Motion capture in archives and arrays: which kind a file is, told by its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from parc_core.character.model import Character
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.motion.formats import npy
from parc_core.motion.formats.container import NPZ_MAGIC
from parc_core.motion.formats.npz import array_names
from parc_core.motion.formats.safe_pickle import describe
from parc_core.motion.retarget.amass import is_amass, read_amass
from parc_core.motion.retarget.amp import amp_clip
from parc_core.motion.retarget.climbs import is_positions, read_positions
from parc_core.motion.retarget.poselib import is_poselib, read_poselib
from parc_core.motion.retarget.source import SourceMotion
from parc_core.motion.skeleton import Skeleton


@dataclass(frozen=True)
class Capture:
    """What was read: a motion to retarget, or one that is the character's own already."""

    source: SourceMotion
    """The motion with its own skeleton."""
    clip: Optional[MotionClip] = None
    """The same with the character's (`fps` 0: as `source` says), where its skeleton is as good as that; without
    contacts."""


def read_capture(data: bytes, where: str, character: Character) -> Optional[Capture]:
    """The motion of an `.npy` of poselib or of joint positions, or of an AMASS `.npz`; None of other files.

    Args:
        data: the file's content.
        where: its name for messages.
        character: whose motion it is to become.

    Raises:
        DataError: corrupt, or an array that is none of these.
    """
    if data.startswith(NPZ_MAGIC):
        return Capture(read_amass(data, where)) if is_amass(array_names(data, where)) else None
    if not data.startswith(npy.MAGIC):
        return None
    value = npy.read_npy(data, where)
    if is_positions(value):
        return Capture(read_positions(value, where))
    if not is_poselib(value):
        raise DataError(
            f"{where}: {describe(value)} is no motion; of .npy files motions of poselib (AMP, ASE) and joint positions "
            "[T, 53, 3] are read (docs/mocap.md)"
        )
    motion = read_poselib(value, where)
    positions, rotations = motion.world()
    rest = motion.rest()
    source = SourceMotion(motion.names, np.array(motion.parents), positions, rotations, rest, motion.fps)
    return Capture(source, amp_clip(motion, Skeleton.of(character), character.body_names))
