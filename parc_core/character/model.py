"""A character: its bodies, joints, limits, PD gains and shapes."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import List, Optional, Tuple, Union

import torch
from torch import Tensor

from parc_core.errors import DataError

ROOT, SPHERICAL, HINGE, FIXED = "ROOT", "SPHERICAL", "HINGE", "FIXED"


@dataclass(frozen=True)
class Geom:
    """One shape of a body, in the body's frame."""

    body: int
    """Index of the body that carries it."""
    name: str
    """Name in the file, or a made-up one that is unique."""
    type: str
    """"sphere", "capsule", "box", "cylinder" or "ellipsoid"."""
    size: Tuple[float, ...]
    """m, MuJoCo's meaning: radius | radius, half length | half sizes."""
    pos: Tuple[float, ...]
    """Centre, m."""
    quat: Tuple[float, ...]
    """Orientation, xyzw; a capsule lies along its z axis."""
    fromto: Optional[Tuple[float, ...]]
    """Both ends of the axis (x y z x y z, m) where the file has it; `pos`, `quat`, `size` agree with it."""
    density: float
    """kg/m³."""

    @property
    def volume(self) -> float:
        """m³."""
        return _volume(self.type, self.size)

    @property
    def mass(self) -> float:
        """kg."""
        return self.density * self.volume


def _volume(kind: str, size: Tuple[float, ...]) -> float:
    if kind == "box":
        return 8.0 * size[0] * size[1] * size[2]
    if kind == "ellipsoid":
        return 4.0 / 3.0 * math.pi * size[0] * size[1] * size[2]
    ball = 4.0 / 3.0 * math.pi * size[0] ** 3
    if kind == "sphere":
        return ball
    tube = math.pi * size[0] ** 2 * 2.0 * size[1]
    return tube if kind == "cylinder" else tube + ball


@dataclass(frozen=True)
class Character:
    """Kinematic tree of J bodies (root first, parents before children) with D degrees of freedom.

    Body b > 0 hangs on its parent by joint b. A spherical joint's three dofs are its rotation vector, a
    hinge's one dof is its angle about `joint_axis`. Per-dof tensors have D entries, in the joints' order.
    """

    body_names: List[str]
    """J names, depth first as in the file."""
    parent_indices: Tensor
    """(J,) long; -1 for the root."""
    local_translation: Tensor
    """(J, 3) m: origin of the body in its parent's frame."""
    local_rotation: Tensor
    """(J, 4) xyzw: orientation of the body in its parent's frame at zero dofs."""
    joint_names: List[str]
    """J names: "root" for the root, the body's name for a fixed joint."""
    joint_types: List[str]
    """J of "ROOT", "SPHERICAL", "HINGE", "FIXED"."""
    joint_axis: Tensor
    """(J, 3) unit axis of a hinge in the body's frame; zero for the other joints."""
    joint_dof_idx: Tensor
    """(J,) long: first dof of the joint."""
    joint_dof_dim: Tensor
    """(J,) long: 3 spherical, 1 hinge, 0 root and fixed."""
    dof_size: int
    """D (28 for the PARC humanoid)."""
    dof_lower: Tensor
    """(D,) rad."""
    dof_upper: Tensor
    """(D,) rad."""
    kp: Tensor
    """(D,) N·m/rad."""
    kd: Tensor
    """(D,) N·m·s/rad."""
    armature: Tensor
    """(D,) kg·m²."""
    effort: Tensor
    """(D,) N·m: largest torque."""
    geoms: List[Geom]
    """All shapes, grouped by body."""

    @property
    def num_bodies(self) -> int:
        return len(self.body_names)

    @property
    def device(self) -> torch.device:
        return self.parent_indices.device

    def body_id(self, name: str) -> int:
        """Index of a body.

        Raises:
            DataError: no body has that name.
        """
        if name in self.body_names:
            return self.body_names.index(name)
        near = difflib.get_close_matches(name, self.body_names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "its bodies are " + ", ".join(self.body_names)
        raise DataError(f"the character has no body {name!r}; {hint}")

    def to(self, device: Union[torch.device, str]) -> Character:
        """The same character with its tensors on `device`."""
        moved = {
            field.name: getattr(self, field.name).to(device)
            for field in dataclasses.fields(self)
            if isinstance(getattr(self, field.name), Tensor)
        }
        return dataclasses.replace(self, **moved)
