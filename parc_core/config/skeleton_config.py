"""What a user knows of a motion capture skeleton, in a small YAML file; whatever is not given is guessed."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Dict, Literal, Optional, Union

from parc_core.config.schema import setting
from parc_core.errors import ConfigError

SIDES = ("left", "right")
LIMB_ROLES = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
REQUIRED_ROLES = ("pelvis", "spine", *(f"{side}_{part}" for side in SIDES for part in LIMB_ROLES))
"""Parts of a body that a skeleton must have."""
OPTIONAL_ROLES = ("neck", "head", "left_toe", "right_toe")
ROLES = REQUIRED_ROLES + OPTIONAL_ROLES

UNITS: Dict[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "cmu": 0.0254 / 0.45}
"""m per unit; "cmu": as the CMU database is scaled, 0.45 of which are an inch."""


@dataclass(frozen=True)
class SkeletonConfig:
    """A skeleton's joints, units and axes."""

    joints: Dict[str, str] = setting({})
    """Joint name by role, such as `left_elbow: LArm2`."""
    units: Optional[Union[Literal["m", "cm", "mm", "in", "cmu"], float]] = setting(None, above=0)
    """Of lengths: m, cm, mm, in, cmu (CMU's BVH files), or the metres of one unit."""
    up: Optional[Literal["x", "y", "z"]] = None
    """The axis that points upwards."""

    def __post_init__(self) -> None:
        for role in self.joints:
            if role not in ROLES:
                near = difflib.get_close_matches(role, ROLES, n=1)
                hint = f"did you mean {near[0]}?" if near else "there are " + ", ".join(ROLES)
                raise ConfigError(f"joints: there is no role '{role}'; {hint}")

    @property
    def metres_per_unit(self) -> Optional[float]:
        """None where the units are to be guessed."""
        return UNITS[self.units] if isinstance(self.units, str) else self.units


NOTHING_GIVEN = SkeletonConfig()
