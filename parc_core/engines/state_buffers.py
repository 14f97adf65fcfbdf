"""What engines share: tensors of a state before the first reset, the rest pose, whether a saved state fits."""

from __future__ import annotations

from typing import Any, Dict, Iterable

import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.engines.engine import EngineState, ResetState
from parc_core.errors import DataError

_REST_CLEARANCE = 0.2  # m between the ground and the lowest body's origin in the rest pose


def empty_state(n: int, character: Character, device: torch.device) -> EngineState:
    """State of n environments, all zero but for the joints' rotations, which are identity."""
    bodies, dofs = character.num_bodies, character.dof_size
    joint_rot = torch.zeros(n, bodies - 1, 4, device=device)
    joint_rot[..., 3] = 1.0
    return EngineState(
        root_pos=torch.zeros(n, 3, device=device),
        root_rot=torch.zeros(n, 4, device=device),
        root_vel=torch.zeros(n, 3, device=device),
        root_ang_vel=torch.zeros(n, 3, device=device),
        dof_pos=torch.zeros(n, dofs, device=device),
        dof_vel=torch.zeros(n, dofs, device=device),
        joint_rot=joint_rot,
        body_pos=torch.zeros(n, bodies, 3, device=device),
        body_rot=torch.zeros(n, bodies, 4, device=device),
        contact_forces=torch.zeros(n, bodies, 3, device=device),
        diverged=torch.zeros(n, dtype=torch.bool, device=device),
    )


def empty_reset(n: int, character: Character, device: torch.device) -> ResetState:
    """A reset of n environments to the origin of terrain 0, at rest in the zero pose."""
    root_rot = torch.zeros(n, 4, device=device)
    root_rot[:, 3] = 1.0
    return ResetState(
        root_pos=torch.zeros(n, 3, device=device),
        root_rot=root_rot,
        root_vel=torch.zeros(n, 3, device=device),
        root_ang_vel=torch.zeros(n, 3, device=device),
        dof_pos=torch.zeros(n, character.dof_size, device=device),
        dof_vel=torch.zeros(n, character.dof_size, device=device),
        terrain_ids=torch.zeros(n, dtype=torch.long, device=device),
    )


def rest_height(kinematics: Kinematics) -> float:
    """Height of the root above ground at which the rest pose touches nothing, m."""
    device = kinematics.device
    zero = kinematics.dof_to_rot(torch.zeros(kinematics.dof_size, device=device))
    upright = torch.tensor((0.0, 0.0, 0.0, 1.0), device=device)
    body_pos, _ = kinematics.forward(torch.zeros(3, device=device), upright, zero)
    return _REST_CLEARANCE - float(body_pos[:, 2].min())


def check_saved_state(state: Dict[str, Any], names: Iterable[str], qpos: Tensor) -> None:
    """Whether a saved state of a MuJoCo engine is one of this engine.

    Args:
        state: what `Engine.state_dict` gave.
        names: the entries that this engine saves.
        qpos: (N, nq), this engine's own coordinates.

    Raises:
        DataError: it is of another engine, character or number of environments.
    """
    missing = [name for name in names if name not in state]
    if missing:
        raise DataError(f"saved simulation state has no {missing[0]!r}: it belongs to another engine")
    if state["qpos"].dtype != qpos.dtype:
        raise DataError(
            f"saved simulation state is {state['qpos'].dtype}, this engine's is {qpos.dtype}: "
            "it belongs to another engine"
        )
    saved, own = tuple(state["qpos"].shape), tuple(qpos.shape)
    if saved != own:
        raise DataError(
            f"saved simulation state is {saved}, this engine's is {own} (environments × coordinates): "
            "it belongs to another character or number of environments"
        )
