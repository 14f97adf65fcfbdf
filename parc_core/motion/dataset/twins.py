"""Clips that are one motion though their names do not say so: copies, mirror images, takes turned or moved."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.motion.formats.container import read_motion_terrain

_SAME_M = 2e-3
"""m by which heights and steps of the root may differ, frame by frame."""
_SAME_RAD = 0.01
"""rad by which the mean angle of the joints may differ, frame by frame."""
_MOVES_M = 0.05
"""m that a root has to move up and down, or along its path, to be told from others."""

Signature = Tuple[int, int, np.ndarray]
"""Frames, fps, and (3 n - 1,) m: the root's height above its first one, its horizontal way from frame to frame, and the
joints' mean angle, scaled so that one tolerance holds for all: it tells apart gestures of who hardly moves."""


def signature(clip: MotionClip) -> Optional[Signature]:
    """What mirroring, turning and moving a motion do not change; None for one that stands still."""
    pos = clip.root_pos.astype(np.float64)
    heights, steps = pos[:, 2] - pos[0, 2], np.linalg.norm(np.diff(pos[:, :2], axis=0), axis=-1)
    if np.ptp(heights) < _MOVES_M and steps.sum() < _MOVES_M:
        return None
    turns = clip.joint_rot.astype(np.float64)
    angles = 2.0 * np.arctan2(np.linalg.norm(turns[..., :3], axis=-1), np.abs(turns[..., 3])).mean(axis=-1)
    return clip.num_frames, clip.fps, np.concatenate((heights, steps, angles * (_SAME_M / _SAME_RAD)))


def same_motions(files: Sequence[str]) -> List[int]:
    """For each motion file the place of the first one that is the same motion, its own where there is none.

    Raises:
        DataError: a file cannot be read.
    """
    first = list(range(len(files)))
    groups: Dict[Tuple[int, int], List[Tuple[float, int, np.ndarray]]] = {}
    for place, file in enumerate(files):
        clip = read_motion_terrain(file).motion
        found = None if clip is None else signature(clip)
        if found is not None:
            groups.setdefault(found[:2], []).append((float(found[2].mean()), place, found[2]))
    for group in groups.values():
        group.sort(key=lambda item: item[:2])
        for k, (mean, place, values) in enumerate(group):
            for other_mean, other, others in group[k + 1 :]:
                if other_mean - mean > _SAME_M:
                    break
                if np.abs(values - others).max() <= _SAME_M:
                    _join(first, place, other)
    return [_root(first, place) for place in range(len(files))]


def _root(first: List[int], place: int) -> int:
    while first[place] != place:
        place = first[place]
    return place


def _join(first: List[int], one: int, other: int) -> None:
    low, high = sorted((_root(first, one), _root(first, other)))
    first[high] = low
