"""The mirror image of a motion and its terrain: y becomes -y, left and right limbs change places."""

from __future__ import annotations

from dataclasses import replace
from typing import List

import numpy as np

from parc_core.character.model import Character
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.terrain.heightfield import Heightfield

_SIDES = ("left", "right")
_SAME = 1e-5  # m, between a limb's offset and its partner's
_POSITION = np.array([1.0, -1.0, 1.0], dtype=np.float32)
_ROTATION = np.array(
    [-1.0, 1.0, -1.0, 1.0], dtype=np.float32
)  # of xyzw: turns about x and z change their sense


class Mirror:
    """Mirrors motions of one character at the plane y = 0. Twice is the same motion again."""

    def __init__(self, character: Character) -> None:
        """Raises DataError where the character is not the same on both sides."""
        self.partner = np.array([character.body_names.index(name) for name in _partners(character)])
        """(J,) body on the other side; a body of the middle is its own."""
        _check_symmetry(character, self.partner)

    def clip(self, clip: MotionClip) -> MotionClip:
        """The mirrored motion: forward kinematics gives the reflected places of the partners."""
        contacts = clip.body_contacts
        return replace(
            clip,
            root_pos=clip.root_pos * _POSITION,
            root_rot=clip.root_rot * _ROTATION,
            joint_rot=clip.joint_rot[:, self.partner[1:] - 1] * _ROTATION,
            body_contacts=None if contacts is None else contacts[:, self.partner],
        )


def mirrored_terrain(terrain: Heightfield) -> Heightfield:
    """The terrain below a mirrored motion."""
    x, last_y = terrain.min_point[0], terrain.min_point[1] + (terrain.hf.shape[1] - 1) * terrain.dx
    bounds = terrain.hf_maxmin
    return Heightfield(
        hf=np.ascontiguousarray(terrain.hf[:, ::-1]),
        min_point=np.array([x, -last_y], dtype=np.float32),
        dx=terrain.dx,
        hf_maxmin=None if bounds is None else np.ascontiguousarray(bounds[:, ::-1]),
    )


def _partners(character: Character) -> List[str]:
    names = []
    for name in character.body_names:
        other = name
        for side, opposite in (_SIDES, _SIDES[::-1]):
            if side in name:
                other = name.replace(side, opposite)
                break
        names.append(other if other in character.body_names else name)
    return names


def _check_symmetry(character: Character, partner: np.ndarray) -> None:
    offsets = character.local_translation.cpu().numpy()
    turns = character.local_rotation.cpu().numpy()
    parents = character.parent_indices.tolist()
    for body in range(1, character.num_bodies):
        other = int(partner[body])
        same = (
            np.allclose(offsets[other], offsets[body] * _POSITION, atol=_SAME)
            and np.allclose(turns[other], turns[body] * _ROTATION, atol=_SAME)
            and parents[other] == partner[parents[body]]
        )
        if not same:
            raise DataError(
                f"{character.body_names[body]} has no counterpart on the other side; mirror images need a character "
                "with the same left and right limbs"
            )
