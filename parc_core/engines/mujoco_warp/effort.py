"""Kernel of the torque limits, see `effort.py`."""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc"

from __future__ import annotations

from typing import Any

import warp as wp
from torch import Tensor

from parc_core.character.model import Character
from parc_core.engines.effort import effort_reach
from parc_core.engines.mujoco_warp.rotations import quat_to_exp_map
from parc_core.engines.mujoco_warp.types import KIND_HINGE, KIND_SPHERICAL, CharacterTables, view

wp.set_module_options({"enable_backward": False, "fuse_fp": False})


@wp.func
def _within(target: float, pos: float, vel: float, lead: float, reach: float) -> float:
    center = pos + lead * vel
    if wp.isnan(target):  # which a clamp would hide
        return target
    return wp.clamp(target, center - reach, center + reach)


@wp.kernel
def limit_targets(
    tree: CharacterTables,
    targets: wp.array2d[float],
    lead: wp.array[float],
    reach: wp.array[float],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    ctrl: wp.array2d[float],
):
    """PD targets (N, D) to actuator targets (N, D) whose torques are within the efforts. One thread per body."""
    env, body = wp.tid()
    dof, at, kind = tree.dof[body], tree.qpos[body], tree.kind[body]
    if kind == KIND_HINGE:
        pos, vel = qpos[env, at], qvel[env, 6 + dof]
        ctrl[env, dof] = _within(targets[env, dof], pos, vel, lead[dof], reach[dof])
    elif kind == KIND_SPHERICAL:
        turn = wp.quat(qpos[env, at + 1], qpos[env, at + 2], qpos[env, at + 3], qpos[env, at])
        vector = quat_to_exp_map(turn)
        for k in range(3):
            i = dof + k
            ctrl[env, i] = _within(targets[env, i], vector[k], qvel[env, 6 + i], lead[i], reach[i])


class TargetLimit:
    """Launches the limit, before every physics step."""

    def __init__(self, character: Character, tree: CharacterTables, pd_targets: Tensor, data: Any) -> None:
        """Args:
        pd_targets: (N, D) rad.
        data: MuJoCo Warp's, whose ctrl is written.
        """
        lead, reach = (view(values.to(pd_targets.device)) for values in effort_reach(character))
        self._shape = (pd_targets.shape[0], tree.num_bodies)
        self._args = [tree, view(pd_targets), lead, reach, data.qpos, data.qvel, data.ctrl]

    def launch(self) -> None:
        """One Warp launch on the current device."""
        wp.launch(limit_targets, self._shape, inputs=self._args)
