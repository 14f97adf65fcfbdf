"""Analytic inverse kinematics of a leg: spherical hip, knee hinge about y, spherical ankle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.model import HINGE, Character
from parc_core.errors import DataError

SIDES = ("right", "left")


@dataclass(frozen=True)
class Leg:
    """Sizes of one leg, m, and its bodies' indices."""

    thigh: int
    shin: int
    foot: int
    hip_offset: Tuple[float, float, float]
    """Hip from the pelvis' origin."""
    thigh_length: float
    """Hip to knee, straight down at zero dofs."""
    shin_length: float
    """Knee to ankle."""
    sole: float
    """Ankle to sole, downwards."""
    toe: float
    """Ankle to the front edge of the sole, forwards."""
    heel: float
    """Ankle to the rear edge of the sole, backwards."""
    half_width: float
    """Of the sole."""

    @property
    def length(self) -> float:
        """Hip to ankle with a straight knee."""
        return self.thigh_length + self.shin_length


def find_leg(character: Character, side: str) -> Leg:
    """Sizes of the "right" or "left" leg.

    Raises:
        DataError: the character has no such leg: thigh and shin straight down, knee about y, a box as foot.
    """
    thigh, shin, foot = (character.body_id(f"{side}_{part}") for part in ("thigh", "shin", "foot"))
    offsets = character.local_translation.tolist()
    boxes = [geom for geom in character.geoms if geom.body == foot and geom.type == "box"]
    straight = all(abs(offsets[body][k]) < 1e-6 for body in (shin, foot) for k in (0, 1))
    knee_about_y = character.joint_types[shin] == HINGE and character.joint_axis[shin].tolist() == [
        0.0,
        1.0,
        0.0,
    ]
    if not (boxes and straight and knee_about_y):
        raise DataError(
            f"synthetic motions need a {side} leg that hangs straight down, with a knee hinge about y and a box "
            "as foot; use data/assets/humanoid.xml"
        )
    box = boxes[0]
    return Leg(
        thigh=thigh,
        shin=shin,
        foot=foot,
        hip_offset=(offsets[thigh][0], offsets[thigh][1], offsets[thigh][2]),
        thigh_length=-offsets[shin][2],
        shin_length=-offsets[foot][2],
        sole=box.size[2] - box.pos[2],
        toe=box.pos[0] + box.size[0],
        heel=box.size[0] - box.pos[0],
        half_width=box.size[1],
    )


def solve_leg(
    leg: Leg,
    pelvis: Tuple[Tensor, Tensor],
    foot: Tuple[Tensor, Tensor],
    knee_axis: Optional[Tensor] = None,
) -> Tuple[Tensor, Tensor, Tensor]:
    """Joint rotations that put the ankle at `foot`, the knee forward in the pelvis' frame unless `knee_axis` is given.

    With thigh a, shin b and hip-ankle distance d, the knee angle k follows from the law of cosines,
    cos k = (d² − a² − b²) / 2ab; the thigh then leans by atan2(b sin k, a + b cos k) before the hip-ankle line.
    A target out of reach is approached with a straight knee.

    Args:
        leg: sizes.
        pelvis: position (n, 3) m and rotation (n, 4).
        foot: position of the ankle (n, 3) m and rotation of the foot (n, 4).
        knee_axis: (n, 3) in the pelvis' frame, about which the knee bends; only what is square to the hip-ankle line
            counts.

    Returns:
        hip, knee and ankle rotations, parent to child, each (n, 4).
    """
    pelvis_inv = rotations.quat_conj(pelvis[1])
    hip_offset = torch.tensor(leg.hip_offset, dtype=pelvis[0].dtype)
    to_ankle = rotations.quat_rotate(pelvis_inv, foot[0] - pelvis[0]) - hip_offset
    distance = to_ankle.norm(dim=-1)
    a, b = leg.thigh_length, leg.shin_length
    cos_knee = (distance.clamp(max=a + b) ** 2 - a * a - b * b) / (2 * a * b)
    knee = torch.acos(cos_knee.clamp(-1.0, 1.0))
    lean = torch.atan2(b * torch.sin(knee), a + b * torch.cos(knee))
    y_axis = torch.tensor([0.0, 1.0, 0.0], dtype=knee.dtype).expand(len(knee), 3)
    hip = rotations.quat_mul(
        _point_down_along(to_ankle, knee_axis), rotations.axis_angle_to_quat(y_axis, -lean)
    )
    knee_rot = rotations.axis_angle_to_quat(y_axis, knee)
    shin = rotations.quat_mul(rotations.quat_mul(pelvis[1], hip), knee_rot)
    return hip, knee_rot, rotations.quat_mul(rotations.quat_conj(shin), foot[1])


def _point_down_along(direction: Tensor, side: Optional[Tensor]) -> Tensor:
    """Rotation that takes −z to `direction` and y as near as can be to `side`. (n, 4).

    Without `side` the x axis stays in the plane of x and `direction`.
    """
    z = -rotations.normalize(direction)
    if side is None:
        x_axis = torch.tensor([1.0, 0.0, 0.0], dtype=direction.dtype).expand_as(direction)
        y = rotations.normalize(torch.cross(z, x_axis, dim=-1))
    else:
        y = rotations.normalize(side - (side * z).sum(dim=-1, keepdim=True) * z)
    x = torch.cross(y, z, dim=-1)
    return rotations.matrix_to_quat(torch.stack((x, y, z), dim=-1))
