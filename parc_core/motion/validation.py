"""Whether a motion and its terrain can be trained on: shapes of the character, ranges, unit rotations, no NaN."""

from __future__ import annotations

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.numbers import LOOP_MODES, MAX_FPS, expect_shape
from parc_core.terrain.heightfield import Heightfield

# Published clips are unit to 1e-6; a wrong component order or a raw network output is far off.
UNIT_TOLERANCE = 1e-3
CONTACT_TOLERANCE = 1e-2


def validate(mt: MotionTerrain, where: str, num_bodies: int = 15, require_terrain: bool = True) -> None:
    """Check that `mt` is a motion to train on.

    Args:
        mt: the file's content.
        where: file name for messages.
        num_bodies: J of the character, root included.
        require_terrain: whether a motion without terrain is an error.

    Raises:
        DataError: the first thing wrong, with file and key.
    """
    if mt.motion is None:
        raise DataError(f"{where}: holds no motion (motion_data is None); leave it out of the dataset")
    _validate_motion(mt.motion, where, num_bodies)
    if mt.terrain is not None:
        _validate_terrain(mt.terrain, where)
    elif require_terrain:
        raise DataError(f"{where}: holds no terrain (terrain_data is None); give the motion a flat one")


def _validate_motion(clip: MotionClip, where: str, num_bodies: int) -> None:
    n = clip.num_frames
    if n < 2:
        raise DataError(f"{where}: root_pos has {n} frame(s), a motion needs at least 2")
    expect_shape(clip.joint_rot, (n, num_bodies - 1, 4), f"{where}: joint_rot")
    if not 0 < clip.fps <= MAX_FPS:
        raise DataError(f"{where}: fps is {clip.fps}, it must be above 0 and at most {MAX_FPS}")
    if clip.loop_mode not in LOOP_MODES:
        raise DataError(
            f"{where}: loop_mode is {safe_pickle.describe(clip.loop_mode)}, known are CLAMP and WRAP"
        )
    _finite(clip.root_pos, f"{where}: root_pos")
    for key, quaternions in (("root_rot", clip.root_rot), ("joint_rot", clip.joint_rot)):
        _finite(quaternions, f"{where}: {key}")
        norms = np.linalg.norm(quaternions.astype(np.float64), axis=-1)
        worst = float(np.abs(norms - 1.0).max()) if norms.size else 0.0
        if worst > UNIT_TOLERANCE:
            raise DataError(f"{where}: {key} has non-unit quaternions (norm off by up to {worst:.3g})")
    if clip.body_contacts is not None:
        expect_shape(clip.body_contacts, (n, num_bodies), f"{where}: body_contacts")
        _finite(clip.body_contacts, f"{where}: body_contacts")
        low, high = float(clip.body_contacts.min()), float(clip.body_contacts.max())
        if low < -CONTACT_TOLERANCE or high > 1.0 + CONTACT_TOLERANCE:
            raise DataError(f"{where}: body_contacts range from {low:.3g} to {high:.3g}, not within [0, 1]")


def _validate_terrain(terrain: Heightfield, where: str) -> None:
    if terrain.hf.size == 0:
        raise DataError(f"{where}: hf is empty ({terrain.hf.shape[0]} x {terrain.hf.shape[1]} cells)")
    _finite(terrain.hf, f"{where}: hf")
    _finite(terrain.min_point, f"{where}: min_point")
    if terrain.hf_maxmin is not None:
        _finite(terrain.hf_maxmin, f"{where}: hf_maxmin")
    if not (np.isfinite(terrain.dx) and terrain.dx > 0):
        raise DataError(f"{where}: dx is {terrain.dx}, it must be above 0")


def _finite(value: np.ndarray, where: str) -> None:
    bad = ~np.isfinite(value)
    if bad.any():
        raise DataError(f"{where} holds {int(bad.sum())} non-finite number(s), the first at {_first(bad)}")


def _first(mask: np.ndarray) -> str:
    return str([int(i) for i in np.argwhere(mask)[0]])
