"""Reads a humanoid from MJCF of the PARC dialect.

The dialect: a tree of bodies under one root with a free joint; in a body three hinges about x, y, z (in
this order) are one spherical joint, one hinge is a hinge, none is a fixed joint. Joint `stiffness` and
`damping` are PD gains, `range` the limits; the `gear` of a joint's motor is its largest torque. Default
classes are honoured.
"""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ET
from typing import Dict, List, Optional, Sequence, Union

import torch

from parc_core.character.mjcf_elements import Reader
from parc_core.character.model import FIXED, HINGE, ROOT, SPHERICAL, Character, Geom
from parc_core.errors import DataError

__all__ = ["Character", "Geom", "load_character"]

_SPHERICAL_AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_NO_AXIS = (0.0, 0.0, 0.0)
_DOF_COLUMNS = ("dof_lower", "dof_upper", "kp", "kd", "armature", "effort")


def load_character(path: Union[str, os.PathLike]) -> Character:
    """Reads a character file.

    Args:
        path: MJCF file.

    Returns:
        The character, tensors on the CPU.

    Raises:
        DataError: the file is missing, is not MJCF of this dialect, or a number in it makes no sense; the
            message names the file and the element.
    """
    try:
        root = ET.parse(os.fspath(path)).getroot()
    except OSError as error:
        raise DataError(f"can't read the character file {path}: {error.strerror or error}") from error
    except ET.ParseError as error:
        raise DataError(f"{path} is not well-formed XML: {error}") from error
    if root.tag != "mujoco":
        raise DataError(f"{path}: the outermost element is <{root.tag}>, MJCF needs <mujoco>")
    return _Builder(Reader(root, str(path))).build(root)


class _Builder:
    """Collects the tables of a character while walking through the tree of bodies."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._bodies: List[str] = []
        self._parents: List[int] = []
        self._translations: List[List[float]] = []
        self._rotations: List[List[float]] = []
        self._joints: List[str] = []
        self._types: List[str] = []
        self._axes: List[List[float]] = []
        self._dof_idx: List[int] = []
        self._dofs: Dict[str, List[float]] = {name: [] for name in _DOF_COLUMNS}
        self._geoms: List[Geom] = []
        self._efforts: Dict[str, List[float]] = {}

    def build(self, root: ET.Element) -> Character:
        worldbody = root.find("worldbody")
        bodies = [] if worldbody is None else worldbody.findall("body")
        if len(bodies) != 1:
            raise self._reader.error(
                "<worldbody>", f"has {len(bodies)} bodies, a character has one root body"
            )
        self._efforts = self._read_motors(root)
        self._walk(bodies[0], parent=-1, childclass=None)
        return Character(
            body_names=self._bodies,
            parent_indices=torch.tensor(self._parents, dtype=torch.long),
            local_translation=torch.tensor(self._translations, dtype=torch.float32),
            local_rotation=torch.tensor(self._rotations, dtype=torch.float32),
            joint_names=self._joints,
            joint_types=self._types,
            joint_axis=torch.tensor(self._axes, dtype=torch.float32),
            joint_dof_idx=torch.tensor(self._dof_idx, dtype=torch.long),
            joint_dof_dim=torch.tensor([_dof_dim(t) for t in self._types], dtype=torch.long),
            dof_size=len(self._dofs["kp"]),
            geoms=self._geoms,
            **{name: torch.tensor(values, dtype=torch.float32) for name, values in self._dofs.items()},
        )

    def _read_motors(self, root: ET.Element) -> Dict[str, List[float]]:
        """Largest torque per actuated joint; three entries where motors act on a ball joint's axes."""
        efforts: Dict[str, List[float]] = {}
        for element in root.findall("actuator/*"):
            where = _label(element)
            if element.tag != "motor":
                raise self._reader.error(where, "only <motor> actuators are read")
            attributes = self._reader.attributes(element, None)
            joint = attributes.get("joint")
            if joint is None:
                raise self._reader.error(where, "names no joint")
            gear = self._reader.numbers(attributes, "gear", where, (1.0,))
            efforts.setdefault(joint, []).append(max(abs(g) for g in gear))
        return efforts

    def _walk(self, body: ET.Element, parent: int, childclass: Optional[str]) -> None:
        name = body.get("name")
        if not name:
            raise self._reader.error(
                "<body>", f"a body below {self._bodies[parent] if self._bodies else 'world'!r} has no name"
            )
        if name in self._bodies:
            raise self._reader.error(f"<body name={name!r}>", "the name is used twice")
        where = _label(body)
        if body.find("inertial") is not None:
            raise self._reader.error(where, "<inertial> is not read: give the geoms densities")
        index, childclass = len(self._bodies), body.get("childclass", childclass)
        self._bodies.append(name)
        self._parents.append(parent)
        self._translations.append(
            self._reader.numbers(dict(body.attrib), "pos", where, (0.0, 0.0, 0.0), count=3)
        )
        self._rotations.append(self._reader.orientation(dict(body.attrib), where))
        self._add_joint(body, index, childclass)
        for geom in body.findall("geom"):
            made_up = f"{name}_geom_{len(self._geoms)}"
            self._geoms.append(self._reader.geom(geom, index, made_up, childclass))
        for child in body.findall("body"):
            self._walk(child, index, childclass)

    def _add_joint(self, body: ET.Element, index: int, childclass: Optional[str]) -> None:
        where = _label(body)
        joints = [self._reader.attributes(j, childclass) for j in body.findall("joint")]
        free = body.find("freejoint") is not None or any(j.get("type") == "free" for j in joints)
        self._dof_idx.append(len(self._dofs["kp"]))
        if index == 0 or free:
            if not free or index > 0 or len(joints) > (body.find("freejoint") is None):
                raise self._reader.error(where, "the root body, and it alone, has a free joint and no other")
            self._append_joint("root", ROOT, _NO_AXIS)
            return
        if not joints:
            self._append_joint(str(body.get("name")), FIXED, _NO_AXIS)
            return
        if len(joints) == 1 and joints[0].get("type") == "ball":
            self._append_joint(joints[0].get("name", self._bodies[index]), SPHERICAL, _NO_AXIS)
            self._append_dofs(joints[0], where, count=3)
            return
        axes = [self._hinge_axis(j, where) for j in joints]
        if len(joints) == 1:
            self._append_joint(joints[0].get("name", self._bodies[index]), HINGE, axes[0])
        elif len(joints) == 3 and _is_xyz(axes):
            self._append_joint(_common_name([j.get("name", "") for j in joints]), SPHERICAL, _NO_AXIS)
        else:
            raise self._reader.error(
                where,
                f"has {len(joints)} hinges; a spherical joint is three hinges about x, y, z in this order",
            )
        for joint in joints:
            self._append_dofs(joint, where, count=1)

    def _append_joint(self, name: str, kind: str, axis: Sequence[float]) -> None:
        self._joints.append(name)
        self._types.append(kind)
        self._axes.append(list(axis))

    def _hinge_axis(self, joint: Dict[str, str], where: str) -> List[float]:
        name = joint.get("name", "")
        where = f"<joint name={name!r}> in {where}"
        if joint.get("type", "hinge") != "hinge":
            raise self._reader.error(where, f"type {joint['type']!r} is not read (hinge or ball)")
        if any(self._reader.numbers(joint, "pos", where, (0.0, 0.0, 0.0), count=3)):
            raise self._reader.error(where, "pos must be 0 0 0: a joint turns about the origin of its body")
        axis = self._reader.numbers(joint, "axis", where, (0.0, 0.0, 1.0), count=3)
        length = math.sqrt(sum(a * a for a in axis))
        if length < 1e-9:
            raise self._reader.error(where, "the axis has no length")
        return [a / length for a in axis]

    def _append_dofs(self, joint: Dict[str, str], where: str, count: int) -> None:
        reader, name = self._reader, joint.get("name", "")
        where = f"<joint name={name!r}> in {where}"
        efforts = self._efforts.get(name)
        if efforts is None or len(efforts) not in (1, count):
            raise reader.error(where, "needs a <motor> in <actuator>: its gear is the largest torque")
        lower, upper = reader.joint_range(joint, where, ball=count == 3)
        gains = {
            "kp": reader.not_negative(joint, "stiffness", where),
            "kd": reader.not_negative(joint, "damping", where),
            "armature": reader.not_negative(joint, "armature", where),
        }
        for k in range(count):
            self._dofs["dof_lower"].append(lower)
            self._dofs["dof_upper"].append(upper)
            self._dofs["effort"].append(efforts[k % len(efforts)])
            for column, value in gains.items():
                self._dofs[column].append(value)


def _label(element: ET.Element) -> str:
    name = element.get("name", "")
    return f"<{element.tag} name={name!r}>"


def _dof_dim(kind: str) -> int:
    return {SPHERICAL: 3, HINGE: 1}.get(kind, 0)


def _is_xyz(axes: List[List[float]]) -> bool:
    return all(abs(a - b) < 1e-6 for axis, wanted in zip(axes, _SPHERICAL_AXES) for a, b in zip(axis, wanted))


def _common_name(names: List[str]) -> str:
    """right_hip_x, right_hip_y, right_hip_z -> right_hip."""
    shared = 0
    while shared < min(map(len, names)) and len({name[shared] for name in names}) == 1:
        shared += 1
    return names[0][:shared].rstrip("_-.") or names[0]
