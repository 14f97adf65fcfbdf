"""Motions near zero and at whole frame rates, whatever a file holds.

Positions far from zero lose their last digits in float32 (3 cm at 500 km): they are moved before they are cast, and
the terrain with them. Frame rates such as 29.97 are resampled to the nearest whole one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Optional, Tuple

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.formats.numbers import expect_shape, float32, frame_rate
from parc_core.terrain.heightfield import Heightfield

FAR = 1000.0
"""m from zero where float32 is off by less than 0.1 mm; what lies farther is moved to zero."""
_FARTHEST = 1e9
"""m: more is a slip, and float64 would not do either."""


def from_parts(
    motion: Optional[Dict[str, Any]], ground: Optional[Dict[str, Any]], misc: Optional[bytes], where: str
) -> MotionTerrain:
    """A file's content from checked values, near zero and at a whole frame rate (`MotionTerrain.notes` says so).

    Args:
        motion: `root_pos`, `root_rot`, `joint_rot` and `body_contacts` (or None) as arrays, `fps` (whole or not) and
            `loop_mode`; or None.
        ground: `hf`, `min_point`, `hf_maxmin` (or None) as arrays, and `dx`; or None.
        misc: the pickled misc_data.
        where: for messages.

    Raises:
        DataError: the shapes do not fit each other, or the values make no sense.
    """
    if motion is None:
        return MotionTerrain(None, None if ground is None else _heightfield(ground), misc)
    root_pos = motion["root_pos"]
    n = len(root_pos) if root_pos.ndim else 0
    expect_shape(root_pos, (n, 3), f"{where}: root_pos")
    root_pos, ground, moved = moved_near_zero(root_pos, ground, where)
    root_rot, joint_rot = float32(motion["root_rot"]), float32(motion["joint_rot"])
    expect_shape(root_rot, (n, 4), f"{where}: root_rot")
    joints = joint_rot.shape[1] if joint_rot.ndim == 3 else 0
    expect_shape(joint_rot, (n, joints, 4), f"{where}: joint_rot")
    contacts = motion["body_contacts"]
    if contacts is not None:
        contacts = float32(contacts)
        expect_shape(contacts, (n, joints + 1), f"{where}: body_contacts")
    clip = MotionClip(float32(root_pos), root_rot, joint_rot, contacts, 0, motion["loop_mode"])
    clip, resampled = whole_frame_rate(clip, frame_rate(motion["fps"], where))
    notes = tuple(note for note in (moved, resampled) if note)
    return MotionTerrain(clip, None if ground is None else _heightfield(ground), misc, notes)


def _heightfield(ground: Dict[str, Any]) -> Heightfield:
    maxmin = ground["hf_maxmin"]
    return Heightfield(
        float32(ground["hf"]),
        float32(ground["min_point"]),
        ground["dx"],
        None if maxmin is None else float32(maxmin),
    )


def moved_near_zero(
    root_pos: np.ndarray, terrain: Optional[Dict[str, Any]], where: str
) -> Tuple[np.ndarray, Optional[Dict[str, Any]], str]:
    """Positions in float64 and their terrain, moved by whole metres where they lie far from zero.

    Args:
        root_pos: (n, 3) m, as in the file (not yet float32).
        terrain: `hf` (nx, ny), `min_point` (2,), `hf_maxmin` (nx, ny, 2) or None as arrays, or None.
        where: for messages.

    Returns:
        Both, and what was done in words ("" where nothing was).

    Raises:
        DataError: farther from zero than any place.
    """
    if root_pos.size == 0 or not np.isfinite(root_pos).all():
        return root_pos, terrain, ""  # refused by whoever checks the motion
    if root_pos.dtype.kind == "f" and root_pos.dtype.itemsize < 8:
        return root_pos, terrain, ""  # what it lost is lost: see `plausibility.MAX_COARSENESS`
    far = np.abs(root_pos.astype(np.float64)).max(axis=0)
    if far.max() <= FAR:
        return root_pos, terrain, ""
    if far.max() > _FARTHEST:
        raise DataError(f"{where}: root_pos reaches {far.max():.3g} m from zero; positions are in metres")
    middle = root_pos.astype(np.float64).mean(axis=0)
    if terrain is not None:
        middle[2] = np.float64(np.min(terrain["hf"])) if terrain["hf"].size else 0.0
    else:
        middle[2] = root_pos[:, 2].min() - 1.0  # about the ground
    shift = np.where(far > FAR, np.rint(middle), 0.0)
    if terrain is not None:
        bounds = terrain.get("hf_maxmin")
        terrain = {
            **terrain,
            "min_point": terrain["min_point"].astype(np.float64) - shift[:2],
            "hf": terrain["hf"].astype(np.float64) - shift[2],
            "hf_maxmin": None if bounds is None else bounds.astype(np.float64) - shift[2],
        }
    words = ", ".join(f"{0.0 - value:.0f}" for value in shift)
    return root_pos.astype(np.float64) - shift, terrain, f"moved by ({words}) m to lie near zero"


def whole_frame_rate(clip: MotionClip, fps: float) -> Tuple[MotionClip, str]:
    """The clip at the nearest whole frame rate; positions and contacts are linear between frames, rotations slerp.

    Args:
        clip: with the frames of the file.
        fps: frames per second of the file.

    Returns:
        The clip, and what was done in words ("" where `fps` is whole).
    """
    return at_frame_rate(clip, fps, int(fps) if fps == int(fps) else max(1, round(fps)))


def at_frame_rate(clip: MotionClip, fps: float, target: int) -> Tuple[MotionClip, str]:
    """See `whole_frame_rate`; `target` is the clip's new frame rate."""
    n = clip.num_frames
    if fps == target or n < 2:
        return replace(clip, fps=target), ""
    count = int(np.floor((n - 1) / fps * target + 1e-6)) + 1
    place = np.minimum(np.arange(max(count, 2)) * (fps / target), n - 1)
    lower = np.minimum(place.astype(np.int64), n - 2)
    blend = place - lower
    contacts = clip.body_contacts
    resampled = replace(
        clip,
        root_pos=_lerp(clip.root_pos, lower, blend),
        root_rot=_slerp(clip.root_rot, lower, blend),
        joint_rot=_slerp(clip.joint_rot, lower, blend),
        body_contacts=None if contacts is None else _lerp(contacts, lower, blend),
        fps=target,
    )
    return resampled, f"resampled from {fps:.6g} to {target} frames per second"


def _lerp(values: np.ndarray, lower: np.ndarray, blend: np.ndarray) -> np.ndarray:
    t = blend.reshape((-1,) + (1,) * (values.ndim - 1))
    return float32(values[lower] * (1.0 - t) + values[lower + 1] * t)


def _slerp(rotations: np.ndarray, lower: np.ndarray, blend: np.ndarray) -> np.ndarray:
    q0, q1 = rotations[lower].astype(np.float64), rotations[lower + 1].astype(np.float64)
    t = blend.reshape((-1,) + (1,) * (rotations.ndim - 1))
    dot = (q0 * q1).sum(axis=-1, keepdims=True)
    q1 = np.where(dot < 0, -q1, q1)
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    w0 = np.where(near, 1.0 - t, np.sin((1.0 - t) * angle) / safe)
    w1 = np.where(near, t, np.sin(t * angle) / safe)
    mixed = w0 * q0 + w1 * q1
    length = np.linalg.norm(mixed, axis=-1, keepdims=True)
    return float32(mixed / np.where(length > 0, length, 1.0))
