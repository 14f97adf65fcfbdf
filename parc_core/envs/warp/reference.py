"""First part of a fused step: the clock goes on, the reference is looked up, actions become PD targets.

The same formulas as `MotionLibrary.sample`, `Kinematics.forward` and `ActionMap.targets`. Threads: one per environment
for the root, one per environment and body for the rest.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-any-return"

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from parc_core.engines.mujoco_warp.rotations import quat_to_exp_map, slerp
from parc_core.engines.mujoco_warp.types import CharacterTables, filled
from parc_core.envs.actions import RESIDUAL, ActionMap
from parc_core.envs.warp.arrays import Episodes, Poses
from parc_core.envs.warp.tables import (
    MODULE_OPTIONS,
    BodyPose,
    Motions,
    body_pose,
    joint_dof,
    locate,
    num_dofs,
    reference_contact,
    reference_root_pos,
)

wp.set_module_options(MODULE_OPTIONS)


@wp.struct
class Actions:
    """`ActionMap` and its arguments."""

    action: wp.array2d[wp.float32]  # (N, D)
    low: wp.array[wp.float32]  # (D,)
    high: wp.array[wp.float32]
    lead: wp.array[wp.float32]  # (D,) s
    residual: bool
    targets: wp.array2d[wp.float32]  # (N, D) rad, written


@wp.func
def motion_time(episodes: Episodes, env: int) -> float:
    """Where an environment is in its motion, s."""
    return episodes.start_times[env] + float(episodes.steps[env]) * episodes.control_dt


@wp.func
def pd_target(actions: Actions, env: int, dof: int, ref_pos: float, ref_vel: float) -> float:
    action = actions.action[env, dof]
    if not wp.isnan(action):  # which a clamp would hide
        action = wp.clamp(action, actions.low[dof], actions.high[dof])
    if actions.residual:
        return ref_pos + actions.lead[dof] * ref_vel + action
    return action


@wp.kernel
def _advance(episodes: Episodes, motions: Motions, ref: Poses) -> None:
    env = wp.tid()
    episodes.steps[env] = episodes.steps[env] + wp.int64(1)
    place = locate(motions, int(episodes.motion_ids[env]), motion_time(episodes, env))
    ref.root_pos[env] = reference_root_pos(motions, place)
    ref.root_rot[env] = slerp(motions.root_rot[place.lower], motions.root_rot[place.upper], place.blend)
    ref.root_vel[env] = motions.root_vel[place.lower]
    ref.root_ang_vel[env] = motions.root_ang_vel[place.lower]


@wp.kernel
def _joints(
    episodes: Episodes, motions: Motions, tree: CharacterTables, ref: Poses, actions: Actions
) -> None:
    env, body = wp.tid()
    place = locate(motions, int(episodes.motion_ids[env]), motion_time(episodes, env))
    ref.contacts[env, body] = reference_contact(motions, place, body)
    if body == 0:
        return
    lower, upper = motions.joint_rot[place.lower, body - 1], motions.joint_rot[place.upper, body - 1]
    rot = slerp(lower, upper, place.blend)
    ref.joint_rot[env, body - 1] = rot
    vector = quat_to_exp_map(rot)
    for k in range(num_dofs(tree, body)):
        dof = tree.dof[body] + k
        vel = motions.dof_vel[place.lower, dof]
        ref.dof_vel[env, dof] = vel
        actions.targets[env, dof] = pd_target(actions, env, dof, joint_dof(tree, body, k, vector), vel)


@wp.kernel
def _bodies(tree: CharacterTables, ref: Poses) -> None:
    env, body = wp.tid()
    root = BodyPose()
    root.pos = ref.root_pos[env]
    root.rot = ref.root_rot[env]
    pose = body_pose(tree, body, root, ref.joint_rot, env)
    ref.body_pos[env, body] = pose.pos


class ReferenceStep:
    """Launches the first part of a step.

    Attributes:
        action: (N, D) the actions of the step, to be filled in before.
    """

    def __init__(
        self,
        action_map: ActionMap,
        pd_targets: Tensor,
        episodes: Episodes,
        motions: Motions,
        tree: CharacterTables,
        reference: Poses,
    ) -> None:
        self.action = torch.zeros_like(pd_targets)
        actions = filled(
            Actions,
            action=self.action,
            low=action_map.low,
            high=action_map.high,
            lead=action_map.lead,
            residual=action_map.mode == RESIDUAL,
            targets=pd_targets,
        )
        self._args = (episodes, motions, tree, reference, actions)
        self._shape = (pd_targets.shape[0], tree.num_bodies)
        self._device = wp.device_from_torch(pd_targets.device)

    def launch(self) -> None:
        """Warp launches alone: fills the reference and the PD targets."""
        episodes, motions, tree, reference, actions = self._args
        wp.launch(_advance, self._shape[0], inputs=[episodes, motions, reference], device=self._device)
        wp.launch(
            _joints, self._shape, inputs=[episodes, motions, tree, reference, actions], device=self._device
        )
        wp.launch(_bodies, self._shape, inputs=[tree, reference], device=self._device)
