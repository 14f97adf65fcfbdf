"""Clips put end to end as CPU tensors, checked all at once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import List, Sequence

import numpy as np
import torch
from torch import Tensor

from parc_core import rotations
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.motion.dataset.dataset_arrays import DatasetArrays
from parc_core.motion.formats.container import LOOP_MODES

_UNIT_TOLERANCE = 1e-3  # published clips are within 1e-6; what is within the tolerance is normalized


@dataclass(frozen=True)
class JoinedFrames:
    """F frames of M clips."""

    root_pos: Tensor
    """(F, 3) float32 m."""
    root_rot: Tensor
    """(F, 4) float32, unit length."""
    joint_rot: Tensor
    """(F, J-1, 4) float32, unit length."""
    contacts: Tensor
    """(F, J) float32; zeros for clips that have none."""
    num_frames: Tensor
    """(M,) long."""
    fps: Tensor
    """(M,) float32."""
    loop_wrap: Tensor
    """(M,) bool."""

    @classmethod
    def of_arrays(cls, arrays: DatasetArrays) -> JoinedFrames:
        """Frames of files, which `load_dataset` checked and normalized."""
        return cls(
            root_pos=torch.from_numpy(arrays.root_pos),
            root_rot=torch.from_numpy(arrays.root_rot),
            joint_rot=torch.from_numpy(arrays.joint_rot),
            contacts=torch.from_numpy(arrays.contacts),
            num_frames=torch.from_numpy(arrays.num_frames),
            fps=torch.from_numpy(arrays.fps),
            loop_wrap=torch.from_numpy(arrays.loop_wrap),
        )


def join_clips(clips: Sequence[MotionClip], names: Sequence[str], num_bodies: int) -> JoinedFrames:
    """Checks the clips and puts their frames end to end.

    Raises:
        DataError: names the motion, and the frame where there is one.
    """
    if not clips:
        raise DataError("there are no motions: the data set is empty")
    if len(names) != len(clips):
        raise DataError(f"{len(clips)} motions have {len(names)} names")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"motion {twice[0]!r} is there {Counter(names)[twice[0]]} times: names must differ")
    for clip, name in zip(clips, names):
        _check_clip(clip, name, num_bodies)
    counts = torch.tensor([clip.num_frames for clip in clips])
    joined = JoinedFrames(
        root_pos=_concatenate([clip.root_pos for clip in clips]),
        root_rot=_concatenate([clip.root_rot for clip in clips]),
        joint_rot=_concatenate([clip.joint_rot for clip in clips]),
        contacts=_concatenate([_contacts(clip, num_bodies) for clip in clips]),
        num_frames=counts,
        fps=torch.tensor([float(clip.fps) for clip in clips]),
        loop_wrap=torch.tensor([clip.loop_mode == "WRAP" for clip in clips]),
    )
    return _check_frames(joined, names)


def normalized_weights(weights: Sequence[float], names: Sequence[str]) -> Tensor:
    """(M,) float32 with sum 1.

    Raises:
        DataError: a weight is negative or not finite (names the motion), all are zero, or one is missing.
    """
    if len(weights) != len(names):
        raise DataError(f"{len(names)} motions have {len(weights)} weights")
    for weight, name in zip(weights, names):
        if not math.isfinite(weight) or weight < 0:
            raise DataError(
                f"motion {name!r} has the weight {weight}: weights must be finite and not negative"
            )
    values = torch.tensor([float(w) for w in weights], dtype=torch.float64)
    if values.sum() <= 0:
        raise DataError("the weights of all motions are zero: at least one must be positive")
    return (values / values.sum()).float()


def _concatenate(arrays: List[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays).astype(np.float32, copy=False))


def _contacts(clip: MotionClip, num_bodies: int) -> np.ndarray:
    if clip.body_contacts is None:
        return np.zeros((clip.num_frames, num_bodies), dtype=np.float32)
    return clip.body_contacts


def _check_clip(clip: MotionClip, name: str, num_bodies: int) -> None:
    count = clip.num_frames
    if count < 2:
        raise DataError(f"motion {name!r} has {count} frame(s): a motion needs two or more")
    if not math.isfinite(clip.fps) or clip.fps <= 0:
        raise DataError(f"motion {name!r}: fps is {clip.fps}, it must be positive")
    if clip.loop_mode not in LOOP_MODES:
        raise DataError(
            f"motion {name!r}: loop_mode is {clip.loop_mode!r}, known are {', '.join(LOOP_MODES)}"
        )
    wanted = {
        "root_pos": (clip.root_pos, (count, 3)),
        "root_rot": (clip.root_rot, (count, 4)),
        "joint_rot": (clip.joint_rot, (count, num_bodies - 1, 4)),
        "body_contacts": (clip.body_contacts, (count, num_bodies)),
    }
    for key, (array, shape) in wanted.items():
        if array is not None and tuple(array.shape) != shape:
            raise DataError(
                f"motion {name!r}: {key} has the shape {tuple(array.shape)}, this character needs {shape}"
            )


def _check_frames(joined: JoinedFrames, names: Sequence[str]) -> JoinedFrames:
    ends = torch.cumsum(joined.num_frames, 0)

    def blame(bad: Tensor, problem: str) -> None:
        """Raises for the first bad frame. bad: (F,) bool."""
        if bool(bad.any()):
            frame = int(bad.nonzero()[0])
            motion = int(torch.searchsorted(ends, torch.tensor(frame), right=True))
            place = frame - int(ends[motion] - joined.num_frames[motion])
            raise DataError(f"motion {names[motion]!r}: {problem} in frame {place}")

    for key in ("root_pos", "root_rot", "joint_rot", "contacts"):
        values = getattr(joined, key).flatten(1)
        blame(~torch.isfinite(values).all(-1), f"{key} is not finite")
    rotation_keys = {"root_rot": joined.root_rot[:, None], "joint_rot": joined.joint_rot}
    for key, quats in rotation_keys.items():
        error = (quats.norm(dim=-1) - 1.0).abs().amax(-1)
        blame(error > _UNIT_TOLERANCE, f"{key} is not of unit length")
    return JoinedFrames(
        root_pos=joined.root_pos,
        root_rot=rotations.normalize(joined.root_rot),
        joint_rot=rotations.normalize(joined.joint_rot),
        contacts=joined.contacts,
        num_frames=joined.num_frames,
        fps=joined.fps,
        loop_wrap=joined.loop_wrap,
    )
