"""Sizes of a source's body and of the character's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parc_core.character.model import SPHERICAL, Character
from parc_core.config.skeleton_config import SIDES
from parc_core.errors import DataError
from parc_core.motion.retarget.mapping import JointMapping
from parc_core.motion.retarget.source import SourceMotion

_LEG_LENGTHS = (0.3, 3.0)  # m: others are a slip of units


def legs_of(positions: np.ndarray, mapping: JointMapping) -> float:
    """Length of the legs, hip to ankle by the knee: mean of both, median over frames. (n, J, 3) -> same units."""
    total = 0.0
    for side in SIDES:
        chain = [positions[:, mapping[f"{side}_{part}"]] for part in ("hip", "knee", "ankle")]
        total += sum(float(np.median(np.linalg.norm(b - a, axis=-1))) for a, b in zip(chain, chain[1:]))
    return 0.5 * total


def leg_length(source: SourceMotion, mapping: JointMapping, where: str = "the motion") -> float:
    """Length of the source's legs, m (`legs_of`).

    Raises:
        DataError: no leg has such a length.
    """
    length = legs_of(source.positions, mapping)
    if not _LEG_LENGTHS[0] < length < _LEG_LENGTHS[1]:
        raise DataError(f"{where}: its legs are {length:.3g} m long; give the units (--units)")
    return length


def check_arms(character: Character) -> None:
    """Raises DataError unless both arms are stretched sideways at zero and bend about z."""
    for side in SIDES:
        upper, lower = (character.body_id(f"{side}_{part}_arm") for part in ("upper", "lower"))
        offset = character.local_translation[lower].tolist()
        sign = 1.0 if side == "left" else -1.0
        fits = abs(offset[0]) < 1e-6 and abs(offset[2]) < 1e-6 and sign * offset[1] > 0
        about_z = character.joint_axis[lower].tolist() == [0.0, 0.0, 1.0]
        if not (fits and about_z and character.joint_types[upper] == SPHERICAL):
            raise DataError(
                f"retargeting needs a {side} arm that points sideways at zero, with an elbow hinge about z; "
                "use data/assets/humanoid.xml"
            )


def scaled(source: SourceMotion, scale: float) -> SourceMotion:
    """The motion of a body so many times as large."""
    rest = source.rest_positions
    return replace(
        source,
        positions=source.positions * scale,
        rest_positions=None if rest is None else np.asarray(rest, dtype=np.float64) * scale,
    )
