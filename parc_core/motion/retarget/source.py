"""A motion of another skeleton, as every reader of motion capture hands it over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Tuple

import numpy as np
import torch

from parc_core import rotations
from parc_core.errors import DataError
from parc_core.motion.formats.numbers import MAX_FPS

_FARTHEST = 1e6  # m: beyond it nothing is precise
_LOOK = 6  # frames
_JUMP_M_S, _JUMP_RATIO = 10.0, 4.0


@dataclass(frozen=True)
class SourceMotion:
    """T frames of a skeleton of J joints. Right-handed, z up, metres."""

    names: Tuple[str, ...]
    """J names."""
    parents: np.ndarray
    """(J,) int64: -1 at the root (or roots: loose points such as markers have no parent); parents come first."""
    positions: np.ndarray
    """(T, J, 3) float64 m, global."""
    rotations: Optional[np.ndarray]
    """(T, J, 4) float64 xyzw, global: how each joint's bones are turned from the rest pose. None where only positions
    are known."""
    rest_positions: Optional[np.ndarray]
    """(J, 3) m, global: the pose in which all rotations are identity. Used where it is upright (T-pose, A-pose); None
    where none is known."""
    fps: float
    """Frames per second, whole or not."""

    @property
    def num_frames(self) -> int:
        return int(self.positions.shape[0])

    def check(self, where: str) -> None:
        """Raises DataError unless shapes fit each other and all numbers are finite."""
        count, joints = self.num_frames, len(self.names)
        shapes = {"parents": (joints,), "positions": (count, joints, 3), "rotations": (count, joints, 4)}
        shapes["rest_positions"] = (joints, 3)
        for name, shape in shapes.items():
            values = getattr(self, name)
            if values is None:
                continue
            if values.shape != shape:
                raise DataError(f"{where}: {name} has shape {list(values.shape)}, {list(shape)} is needed")
            if not (np.abs(values) < _FARTHEST).all():
                raise DataError(
                    f"{where}: {name} holds numbers that are not finite, or farther than {_FARTHEST:g}"
                )
        if count < 2:
            raise DataError(f"{where}: {count} frame(s), a motion needs at least 2")
        if not 0 < self.fps <= MAX_FPS:
            raise DataError(
                f"{where}: {self.fps:g} frames per second; above 0 and at most {MAX_FPS} are read"
            )
        if (self.parents >= np.arange(joints)).any() or (self.parents < -1).any():
            raise DataError(f"{where}: a joint stands before its parent")


def without_rest_frame(source: SourceMotion) -> SourceMotion:
    """The motion without its first frame, where that is only a pose of the skeleton, such as CMU's T-poses."""
    n = min(source.num_frames, _LOOK)
    if n < _LOOK:
        return source
    moves = np.linalg.norm(np.diff(source.positions[:n], axis=0), axis=-1).max(axis=1)
    jumps = moves[0] * source.fps > _JUMP_M_S and moves[0] > _JUMP_RATIO * moves[1:].max()
    if not jumps:
        return source
    turns = source.rotations
    return replace(source, positions=source.positions[1:], rotations=None if turns is None else turns[1:])


def resampled(source: SourceMotion, fps: int) -> SourceMotion:
    """The motion at a whole frame rate: positions are linear between frames, rotations slerp."""
    n = source.num_frames
    if source.fps == fps:
        return source
    count = max(int(np.floor((n - 1) / source.fps * fps + 1e-6)) + 1, 2)
    place = np.minimum(np.arange(count) * (source.fps / fps), n - 1)
    lower = np.minimum(place.astype(np.int64), n - 2)
    blend = (place - lower)[:, None, None]
    turns = source.rotations
    if turns is not None:
        pair = (torch.from_numpy(turns[lower]), torch.from_numpy(turns[lower + 1]))
        turns = rotations.slerp(*pair, torch.from_numpy(blend)).numpy()
    positions = source.positions[lower] * (1.0 - blend) + source.positions[lower + 1] * blend
    return replace(source, positions=positions, rotations=turns, fps=float(fps))
