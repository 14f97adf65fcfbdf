"""From policy outputs to PD targets (spec section 6)."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor

from parc_core.character.model import HINGE, Character
from parc_core.engines.effort import effort_reach

ABSOLUTE, RESIDUAL = "absolute", "residual"


def absolute_bounds(character: Character) -> Tuple[Tensor, Tensor]:
    """Bounds of absolute PD targets, two (D,) rad.

    A 3-dof joint gets ±1.2 · the largest limit magnitude over its three axes (its dofs are a rotation vector, not
    angles about those axes), a hinge mid ± 0.7 · range.
    """
    lower, upper = character.dof_lower.clone(), character.dof_upper.clone()
    low, high = lower.clone(), upper.clone()
    for b, kind in enumerate(character.joint_types):
        dofs = slice(
            int(character.joint_dof_idx[b]), int(character.joint_dof_idx[b] + character.joint_dof_dim[b])
        )
        if kind == HINGE:
            mid, reach = 0.5 * (lower[dofs] + upper[dofs]), 0.7 * (upper[dofs] - lower[dofs])
            low[dofs], high[dofs] = mid - reach, mid + reach
        elif dofs.stop > dofs.start:
            reach = 1.2 * torch.maximum(lower[dofs].abs(), upper[dofs].abs()).max()
            low[dofs], high[dofs] = -reach, reach
    return low, high


class ActionMap:
    """Turns actions (N, D) into PD targets (N, D) rad.

    absolute: the action is the target (PARC). residual: target = reference dof of the next step + kd/kp · reference
    dof velocity + action. The PD gains make a joint lag by kd/kp (0.1 s for the humanoid), which the second term
    makes up for, so that a policy whose actions are zero already follows for a while.
    """

    def __init__(self, character: Character, mode: str, residual_scale: float) -> None:
        self.mode = mode
        if mode == RESIDUAL:
            self.low = torch.full((character.dof_size,), -residual_scale, device=character.device)
            self.high = -self.low
        else:
            self.low, self.high = absolute_bounds(character)
        self.lead, _ = effort_reach(character)

    def targets(self, action: Tensor, ref_dof_pos: Tensor, ref_dof_vel: Tensor) -> Tensor:
        """PD targets of actions that are first clamped to the bounds; ref_* (N, D) are those of the next step."""
        action = torch.maximum(torch.minimum(action, self.high), self.low)
        if self.mode == RESIDUAL:
            return ref_dof_pos + self.lead * ref_dof_vel + action
        return action
