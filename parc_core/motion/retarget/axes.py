"""Units and up axis of motion capture: what a file does not say is guessed by the body."""

from __future__ import annotations

from typing import Dict, Tuple, Union

import numpy as np

from parc_core.config.skeleton_config import NOTHING_GIVEN, UNITS, SkeletonConfig
from parc_core.errors import DataError
from parc_core.motion.formats.bvh import BvhMotion
from parc_core.motion.retarget.geometry import conj, unit
from parc_core.motion.retarget.mapping import JointMapping, map_joints
from parc_core.motion.retarget.sizes import legs_of
from parc_core.motion.retarget.source import SourceMotion
from parc_core.motion.skeleton import multiply, rotate

_LEG = 0.83  # m: a grown-up's, hip to ankle
_LEG_RANGE = (0.45, 1.2)
_PLAIN = 0.7  # of a person's mean direction from feet to hips that must lie along an axis
_HALF = float(np.sqrt(0.5))
_TO_Z: Dict[str, np.ndarray] = {
    "y": np.array([_HALF, 0.0, 0.0, _HALF]),
    "z": np.array([0.0, 0.0, 0.0, 1.0]),
    "x": np.array([0.0, -_HALF, 0.0, _HALF]),
}


def in_metres(
    raw: Union[BvhMotion, SourceMotion],
    where: str,
    given: SkeletonConfig = NOTHING_GIVEN,
    custom: str = "y",
) -> Tuple[SourceMotion, JointMapping]:
    """A motion in metres, z up, and its joints' roles.

    Args:
        raw: in its file's own units and axes.
        where: for messages.
        given: goes before what is guessed.
        custom: the axis that is up in such files where the body does not tell it.

    Raises:
        DataError: joints not found, or a body of a size that fits no unit.
    """
    mapping = map_joints(raw.names, raw.parents, where, given.joints)
    scale = given.metres_per_unit or _guessed_scale(raw, mapping, where)
    turn = _TO_Z[given.up or _guessed_up(raw, mapping, custom)]
    turns, rest = raw.rotations, raw.rest_positions
    if turns is not None:
        turns = multiply(multiply(np.broadcast_to(turn, turns.shape), turns), conj(turn))
    source = SourceMotion(
        names=raw.names,
        parents=raw.parents,
        positions=rotate(turn, raw.positions) * scale,
        rotations=turns,
        rest_positions=None if rest is None else rotate(turn, rest) * scale,
        fps=raw.fps,
    )
    return source, mapping


def _guessed_scale(raw: Union[BvhMotion, SourceMotion], mapping: JointMapping, where: str) -> float:
    """The unit in which the legs are nearest to a grown-up's."""
    length = max(legs_of(raw.positions, mapping), 1e-9)
    scale = min(UNITS.values(), key=lambda unit_: abs(np.log(length * unit_ / _LEG)))
    if not _LEG_RANGE[0] < length * scale < _LEG_RANGE[1]:
        raise DataError(
            f"{where}: its legs are {length:.3g} units long, which is not an adult in {', '.join(UNITS)}; "
            "give the metres per unit (--units)"
        )
    return scale


def _guessed_up(raw: Union[BvhMotion, SourceMotion], mapping: JointMapping, custom: str) -> str:
    """The axis along which people stand: from the ankles to the hips in the middle frame of all."""
    ankles, hips = (
        0.5 * (raw.positions[:, mapping[f"left_{part}"]] + raw.positions[:, mapping[f"right_{part}"]])
        for part in ("ankle", "hip")
    )
    direction = np.median(unit(hips - ankles), axis=0)
    axis = int(np.argmax(np.abs(direction)))
    return "xyz"[axis] if direction[axis] > _PLAIN else custom
