"""Motion capture in archives and arrays: which kind a file is, told by its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from parc_core.character.model import Character
from parc_core.config.skeleton_config import NOTHING_GIVEN, SkeletonConfig
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.motion.formats import npy
from parc_core.motion.formats.container import NPZ_MAGIC
from parc_core.motion.formats.normal_form import at_frame_rate
from parc_core.motion.formats.npz import array_names
from parc_core.motion.formats.safe_pickle import describe
from parc_core.motion.retarget.amass import is_amass, read_amass
from parc_core.motion.retarget.amp import amp_clip
from parc_core.motion.retarget.axes import in_metres
from parc_core.motion.retarget.climbs import is_positions, read_positions, retarget_climb
from parc_core.motion.retarget.mapping import map_joints
from parc_core.motion.retarget.poselib import is_poselib, read_poselib
from parc_core.motion.retarget.result import DEFAULT_OPTIONS, RetargetedMotion
from parc_core.motion.retarget.retarget import Retargeter
from parc_core.motion.retarget.source import SourceMotion
from parc_core.motion.skeleton import Skeleton
from parc_core.terrain.obj import Triangles


@dataclass(frozen=True)
class Capture:
    """What was read: a motion to retarget, or one that is the character's own already."""

    source: SourceMotion
    """The motion with its own skeleton."""
    clip: Optional[MotionClip] = None
    """The same with the character's (`fps` 0: as `source` says), where its skeleton is as good as that; without
    contacts."""
    settled: bool = False
    """Whether the file's form tells units and up axis."""


def read_capture(data: bytes, where: str, character: Character) -> Optional[Capture]:
    """The motion of an `.npy` of poselib or of joint positions, or of an AMASS `.npz`; None of other files.

    Args:
        data: the file's content.
        where: its name for messages.
        character: whose motion it is to become.

    Raises:
        DataError: corrupt, or an array that is none of these.
    """
    capture = _read(data, where, character)
    if capture is not None:
        capture.source.check(where)
    return capture


def _read(data: bytes, where: str, character: Character) -> Optional[Capture]:
    if data.startswith(NPZ_MAGIC):
        return Capture(read_amass(data, where), settled=True) if is_amass(array_names(data, where)) else None
    if not data.startswith(npy.MAGIC):
        return None
    value = npy.read_npy(data, where)
    if is_positions(value):
        return Capture(read_positions(value, where))
    if not is_poselib(value):
        raise DataError(
            f"{where}: {describe(value)} is not a motion; of .npy files motions of poselib (AMP, ASE) and joint "
            "positions [T, 53, 3] are read (docs/mocap.md)"
        )
    motion = read_poselib(value, where)
    positions, rotations = motion.world()
    rest = motion.rest()
    source = SourceMotion(motion.names, np.array(motion.parents), positions, rotations, rest, motion.fps)
    return Capture(source, amp_clip(motion, Skeleton.of(character), character.body_names))


def retargeted(
    capture: Capture,
    character: Character,
    where: str,
    boxes: Optional[Triangles] = None,
    given: SkeletonConfig = NOTHING_GIVEN,
) -> RetargetedMotion:
    """What was read as the character's motion, at 30 frames per second.

    Args:
        capture: of `read_capture`.
        character: whose motion it becomes.
        where: for messages.
        boxes: that it moves on, in its frame of reference; by default level ground.
        given: of its skeleton; units and up axis where a file may have any.

    Raises:
        DataError: no humanoid's motion.
    """
    if capture.clip is not None:
        clip, _ = at_frame_rate(capture.clip, capture.source.fps, DEFAULT_OPTIONS.fps)
        return Retargeter(character).own(clip)
    source = capture.source
    if boxes is not None:
        return retarget_climb(source, boxes, character, where, given.joints)
    if capture.settled:
        mapping = map_joints(source.names, source.parents, where, given.joints)
    else:
        source, mapping = in_metres(source, where, given, custom="z")
    return Retargeter(character).retarget(source, mapping, None, where)
