"""Which joint of a source plays which part of a body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from parc_core.config.skeleton_config import REQUIRED_ROLES, ROLES, SIDES
from parc_core.errors import DataError
from parc_core.motion.formats.safe_pickle import printable
from parc_core.motion.retarget.joint_names import guess_roles

_SHOWN = 30  # names of a skeleton in a message


@dataclass(frozen=True)
class JointMapping:
    """Joints by role."""

    roles: Mapping[str, int]
    """Index of each of `REQUIRED_ROLES`, and of the optional ones where there is one. A limb's role is the joint at its
    upper end: "left_hip" is where the left thigh begins, "left_wrist" where the forearm ends."""
    spine: Tuple[int, ...]
    """Joints from the pelvis (not in it) to the one that carries the shoulders, upwards."""

    def __getitem__(self, role: str) -> int:
        return self.roles[role]

    def get(self, role: str) -> Optional[int]:
        """Index of a role's joint, None where there is none."""
        return self.roles.get(role)


def map_joints(
    names: Tuple[str, ...], parents: np.ndarray, where: str, given: Optional[Mapping[str, str]] = None
) -> JointMapping:
    """Finds the joint of every role by its name, or by the tree where no name tells it.

    Args:
        names: J names.
        parents: (J,) -1 at roots.
        where: for messages.
        given: joint name by role: goes before what is guessed.

    Raises:
        DataError: a joint that is needed was not found, or a given one does not exist.
    """
    roles = guess_roles(names)
    for role, name in (given or {}).items():
        if role not in ROLES:
            raise DataError(f"{where}: there is no role '{printable(role)}'; there are {', '.join(ROLES)}")
        if name not in names:
            raise DataError(
                f"{where}: the skeleton has no joint '{printable(name)}' ({role}); it has {_shown(names)}"
            )
        roles[role] = names.index(name)
    given = given or {}
    hips = [roles[f"{side}_hip"] for side in SIDES if f"{side}_hip" in roles]
    shoulders = [roles[f"{side}_shoulder"] for side in SIDES if f"{side}_shoulder" in roles]
    if "pelvis" not in given and len(hips) == 2:
        roles.update(_named("pelvis", _common_ancestor(parents, *hips)))
    spine: Tuple[int, ...] = ()
    if len(shoulders) == 2 and "pelvis" in roles:
        spine = _path(parents, roles["pelvis"], _common_ancestor(parents, *shoulders))
    if "spine" not in given and spine:
        roles["spine"] = spine[0]
    missing = [role for role in REQUIRED_ROLES if role not in roles]
    if missing:
        raise DataError(
            f"{where}: no joint found for {', '.join(missing)}; name them in a --skeleton file. "
            f"The skeleton has {_shown(names)}"
        )
    return JointMapping(roles, spine or (roles["spine"],))


def _named(role: str, joint: Optional[int]) -> Dict[str, int]:
    return {} if joint is None else {role: joint}


def _ancestors(parents: np.ndarray, joint: int) -> Tuple[int, ...]:
    """The joint itself, its parent, …, the root."""
    found = []
    while joint >= 0:
        found.append(joint)
        joint = int(parents[joint])
    return tuple(found)


def _common_ancestor(parents: np.ndarray, a: int, b: int) -> Optional[int]:
    above = set(_ancestors(parents, b)) - {b}
    return next((joint for joint in _ancestors(parents, a)[1:] if joint in above), None)


def _path(parents: np.ndarray, top: int, end: Optional[int]) -> Tuple[int, ...]:
    """Joints from below `top` down to `end`; () where `end` does not hang on `top`."""
    if end is None:
        return ()
    chain = _ancestors(parents, end)
    return tuple(reversed(chain[: chain.index(top)])) if top in chain else ()


def _shown(names: Tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return printable(", ".join(names[:_SHOWN])) + more
