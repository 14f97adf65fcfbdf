"""Torque limits that do not shake light limbs: the target is limited, not the torque.

A joint's torque is kp · (target − q) − kd · q̇. MuJoCo would clamp it to ±effort and, where it does, leave its damping
out of the implicit integration: the whole effort then acts on a limb for 1/120 s, and 200 N·m turn a thigh about its
own axis by 60 rad/s in that time, the next step back, and so on. So the target is moved to where that torque, taken
before each physics step, is within ±effort; damping stays implicit, and what acts is that torque or less. PhysX limits
its implicit drives to the like effect.
"""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor

from parc_core.character.model import Character


def effort_reach(character: Character) -> Tuple[Tensor, Tensor]:
    """How far a target leads its joint, kd/kp (D,) s, and how far it may be off, effort/kp (D,) rad.

    Both are 0 for a joint without gain.
    """
    driven = character.kp > 0
    kp = torch.where(driven, character.kp, torch.ones_like(character.kp))
    zero = torch.zeros_like(kp)
    return torch.where(driven, character.kd / kp, zero), torch.where(driven, character.effort / kp, zero)


def targets_within_effort(
    targets: Tensor, dof_pos: Tensor, dof_vel: Tensor, lead: Tensor, reach: Tensor
) -> Tensor:
    """The targets nearest to the given ones whose torques are within the efforts.

    Args:
        targets, dof_pos: (N, D) rad; dof_vel: (N, D) rad/s.
        lead, reach: (D,) s and rad, of `effort_reach`.

    Returns:
        (N, D) rad: within q + lead · q̇ ± reach; a target that is not a number stays so.
    """
    center = dof_pos + lead * dof_vel
    return torch.maximum(torch.minimum(targets, center + reach), center - reach)
