"""The errors of `envs/rewards.py` for kernels: a body's share of each, which is summed over the bodies.

What belongs to the root alone is the share of body 0.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-any-return"

from __future__ import annotations

import warp as wp

from parc_core.engines.mujoco_warp.rotations import heading, quat_diff_angle, quat_rotate, yaw_quat
from parc_core.envs.rewards import FULL_CONTACT_FORCE, REWARD_TERMS, ROOT_ANG_VEL_SHARE, ROOT_ROT_SHARE
from parc_core.envs.warp.tables import num_dofs
from parc_core.envs.warp.task import StepArrays

_ROOT_ROT_SHARE, _ROOT_ANG_VEL_SHARE = wp.constant(ROOT_ROT_SHARE), wp.constant(ROOT_ANG_VEL_SHARE)
_FULL_CONTACT_FORCE = wp.constant(FULL_CONTACT_FORCE)


@wp.func
def own_frame(s: StepArrays, rot: wp.quat, v: wp.vec3) -> wp.vec3:
    """A vector in the heading frame of its own root, or as it is where the root itself is tracked."""
    if s.task.track_root:
        return v
    return quat_rotate(yaw_quat(-heading(rot)), v)


@wp.func
def own_turn(s: StepArrays, rot: wp.quat) -> wp.quat:
    """A root's rotation in its own heading frame, or as it is where the root itself is tracked."""
    if s.task.track_root:
        return rot
    return yaw_quat(-heading(rot)) * rot


@wp.func
def pose_error(s: StepArrays, env: int, body: int) -> float:
    if body == 0:
        return 0.0
    angle = quat_diff_angle(s.sim.joint_rot[env, body - 1], s.ref.joint_rot[env, body - 1])
    return s.task.joint_weights[body - 1] * angle * angle


@wp.func
def vel_error(s: StepArrays, env: int, body: int) -> float:
    if body == 0:
        return 0.0
    error = wp.float32(0.0)
    for k in range(num_dofs(s.tree, body)):
        dof = s.tree.dof[body] + k
        diff = s.ref.dof_vel[env, dof] - s.sim.dof_vel[env, dof]
        error += s.task.joint_weights[body - 1] * diff * diff
    return error


@wp.func
def root_error(s: StepArrays, env: int, body: int) -> float:
    if body > 0:
        return 0.0
    pos = s.ref.root_pos[env] - s.sim.root_pos[env]
    if not s.task.track_root:
        pos = wp.vec3(0.0, 0.0, pos[2])
    if not s.task.track_root_h:
        pos = wp.vec3(pos[0], pos[1], 0.0)
    angle = quat_diff_angle(own_turn(s, s.sim.root_rot[env]), own_turn(s, s.ref.root_rot[env]))
    return wp.dot(pos, pos) + _ROOT_ROT_SHARE * angle * angle


@wp.func
def root_vel_error(s: StepArrays, env: int, body: int) -> float:
    if body > 0:
        return 0.0
    char_rot, ref_rot = s.sim.root_rot[env], s.ref.root_rot[env]
    vel = own_frame(s, ref_rot, s.ref.root_vel[env]) - own_frame(s, char_rot, s.sim.root_vel[env])
    ang_vel = own_frame(s, ref_rot, s.ref.root_ang_vel[env]) - own_frame(s, char_rot, s.sim.root_ang_vel[env])
    return wp.dot(vel, vel) + _ROOT_ANG_VEL_SHARE * wp.dot(ang_vel, ang_vel)


@wp.func
def key_error(s: StepArrays, env: int, body: int) -> float:
    count = s.task.key_counts[body]
    if count == 0.0:
        return 0.0
    char = s.sim.body_pos[env, body] - s.sim.root_pos[env]
    target = s.ref.body_pos[env, body] - s.ref.root_pos[env]
    diff = own_frame(s, s.ref.root_rot[env], target) - own_frame(s, s.sim.root_rot[env], char)
    return count * wp.dot(diff, diff)


_TWINS = {
    "pose": pose_error,
    "vel": vel_error,
    "root_pos": root_error,
    "root_vel": root_vel_error,
    "key_pos": key_error,
}
ERRORS = tuple(_TWINS[term.name] for term in REWARD_TERMS)
"""(env, body) -> float, in the order of `REWARD_TERMS`."""


@wp.func
def contact_reward(s: StepArrays, env: int, body: int) -> float:
    """See `rewards.contact_reward`; 0 without contacts."""
    if not s.task.use_contact_info:
        return 0.0
    force = wp.min(wp.length(s.sim.contact_forces[env, body]), _FULL_CONTACT_FORCE)
    return s.task.contact_weights[body] * (2.0 * s.ref.contacts[env, body] - 1.0) * force
