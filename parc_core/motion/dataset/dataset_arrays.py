"""A dataset's frames and terrains as a few flat numpy arrays, read from files without torch.

Worker processes import this module alone: torch would cost each of them seconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.validation import validate
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.heightfield_arrays import HeightfieldArrays

_FRAMES = ("root_pos", "root_rot", "joint_rot", "contacts", "num_frames", "fps", "loop_wrap")
_NAMED = 10  # files in one message
_TERRAINS = tuple(HeightfieldArrays.__dataclass_fields__)


@dataclass(frozen=True)
class DatasetArrays:
    """F frames of M motions end to end, with M terrains; all checked by `files.validate`."""

    root_pos: np.ndarray
    """(F, 3) float32 m."""
    root_rot: np.ndarray
    """(F, 4) float32 xyzw."""
    joint_rot: np.ndarray
    """(F, J-1, 4) float32 xyzw."""
    contacts: np.ndarray
    """(F, J) float32; zeros for motions that have none."""
    num_frames: np.ndarray
    """(M,) int64."""
    fps: np.ndarray
    """(M,) float32."""
    loop_wrap: np.ndarray
    """(M,) bool."""
    terrains: HeightfieldArrays
    """M terrains, not padded."""

    @classmethod
    def join(cls, parts: Sequence[DatasetArrays]) -> DatasetArrays:
        """The motions of all parts, in their order."""
        frames = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _FRAMES}
        return cls(terrains=HeightfieldArrays.join([part.terrains for part in parts]), **frames)

    def to_dict(self) -> Dict[str, np.ndarray]:
        """The arrays by name, for a file."""
        arrays = {name: getattr(self, name) for name in _FRAMES}
        arrays.update({f"terrain_{name}": getattr(self.terrains, name) for name in _TERRAINS})
        return arrays

    @classmethod
    def from_dict(cls, arrays: Dict[str, np.ndarray]) -> DatasetArrays:
        """What `to_dict` gave.

        Raises:
            KeyError: an array is missing.
            ValueError: arrays do not fit each other.
        """
        terrains = HeightfieldArrays(*(arrays[f"terrain_{name}"] for name in _TERRAINS))
        found = cls(terrains=terrains, **{name: arrays[name] for name in _FRAMES})
        found._check_sizes()
        return found

    def _check_sizes(self) -> None:
        frames, motions = int(self.num_frames.sum()), len(self.num_frames)
        per_frame = (self.root_pos, self.root_rot, self.joint_rot, self.contacts)
        t = self.terrains
        per_motion = (self.fps, self.loop_wrap, t.dims, t.min_point, t.dx)
        if (
            any(len(a) != frames for a in per_frame)
            or any(len(a) != motions for a in per_motion)
            or len(t.heights) != int(t.sizes.sum())
        ):
            raise ValueError("the arrays' lengths do not fit each other")


@dataclass(frozen=True)
class ReadJob:
    """Some files of a dataset, for one process."""

    files: List[str]
    num_bodies: int
    """J of the character."""
    shared_terrain: Optional[Heightfield]
    """For motions without terrain; None where each must have its own."""


def read_files(job: ReadJob) -> DatasetArrays:
    """Reads and checks files; rotations are as in the files.

    Raises:
        DataError: files are missing, corrupt or make no sense; the message names them.
    """
    contents, errors = [], []
    for file in job.files:
        try:
            contents.append(_read_one(file, job))
        except DataError as error:
            errors.append((file, error))
    if errors:
        raise _all_of(errors)
    return arrays_of([clip for clip, _ in contents], [terrain for _, terrain in contents], job.num_bodies)


def arrays_of(clips: Sequence[MotionClip], terrains: Sequence[Heightfield], num_bodies: int) -> DatasetArrays:
    """M checked clips end to end, with M terrains; `num_bodies`: J of their character."""
    return DatasetArrays(
        root_pos=np.concatenate([clip.root_pos for clip in clips]),
        root_rot=np.concatenate([clip.root_rot for clip in clips]),
        joint_rot=np.concatenate([clip.joint_rot for clip in clips]),
        contacts=np.concatenate([_contacts(clip, num_bodies) for clip in clips]),
        num_frames=np.array([clip.num_frames for clip in clips], dtype=np.int64),
        fps=np.array([clip.fps for clip in clips], dtype=np.float32),
        loop_wrap=np.array([clip.loop_mode == "WRAP" for clip in clips], dtype=bool),
        terrains=HeightfieldArrays.of(terrains),
    )


def _read_one(file: str, job: ReadJob) -> Tuple[MotionClip, Heightfield]:
    content = read_motion_terrain(file)
    validate(content, file, job.num_bodies, require_terrain=job.shared_terrain is None)
    terrain = content.terrain if content.terrain is not None else job.shared_terrain
    assert content.motion is not None and terrain is not None  # validate raises where there is none
    return content.motion, terrain


def _all_of(errors: Sequence[Tuple[str, DataError]]) -> DataError:
    """One error for all files of a dataset's list that cannot be used, so that they can be fixed together."""
    if len(errors) == 1:
        return errors[0][1]
    names = [os.path.basename(file) for file, _ in errors[1 : 1 + _NAMED]]
    more = f" and {len(errors) - 1 - _NAMED} more" if len(errors) - 1 > _NAMED else ""
    return DataError(
        f"{errors[0][1]} (so it is with {', '.join(names)}{more}: repair them, or take them off the list)"
    )


def _contacts(clip: MotionClip, num_bodies: int) -> np.ndarray:
    if clip.body_contacts is None:
        return np.zeros((clip.num_frames, num_bodies), dtype=np.float32)
    return clip.body_contacts
