"""Last part of a fused step: reward, done and fail_reason, exactly as the torch environment's.

Threads: one per environment and body (and key body) for what is summed over bodies, then one per environment. Sums are
taken in a fixed order and not by atomics, so that runs repeat bit for bit.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc"

from __future__ import annotations

from typing import Any

import torch
import warp as wp

from parc_core.config.env_config import EnvConfig
from parc_core.engines.mujoco_warp.rotations import heading, quat_diff_angle, quat_rotate, yaw_quat
from parc_core.engines.mujoco_warp.types import StateArrays
from parc_core.envs.task import TaskTensors
from parc_core.envs.terminations import FIRST_STEP, MIN_FALL_FORCE, TIME_EPS, DoneFlag, FailReason
from parc_core.envs.warp.arrays import Episodes, Poses
from parc_core.envs.warp.reference import motion_time
from parc_core.envs.warp.tables import MODULE_OPTIONS, Motions, Terrains, Tree, height_at, terrain_of, view

wp.set_module_options(MODULE_OPTIONS)

_OFF, _TOUCHING, _LOW = wp.constant(1), wp.constant(2), wp.constant(4)
_MIN_FORCE, _FIRST_STEP, _TIME_EPS = (wp.constant(v) for v in (MIN_FALL_FORCE, FIRST_STEP, TIME_EPS))
_FAIL, _TIME = wp.constant(int(DoneFlag.FAIL)), wp.constant(int(DoneFlag.TIME))
_DIVERGED, _FALL, _ROOT_POSITION, _ROOT_ROTATION, _BODY_POSITION, _MOTION_END = (
    wp.constant(int(v))
    for v in (
        FailReason.DIVERGED,
        FailReason.FALL,
        FailReason.ROOT_POSITION,
        FailReason.ROOT_ROTATION,
        FailReason.BODY_POSITION,
        FailReason.MOTION_END,
    )
)


@wp.struct
class Task:
    """Settings and weights of `EnvConfig` and `TaskTensors`."""

    joint_weights: wp.array[wp.float32]  # (J-1,)
    contact_weights: wp.array[wp.float32]  # (J,)
    max_body_dist: wp.array[wp.float32]  # (J-1,) m
    may_touch: wp.array[wp.bool]  # (J,)
    reward_weights: wp.array[wp.float32]  # (5,) pose, vel, root, root_vel, key
    reward_powers: wp.array[wp.float32]  # (5,)
    key_ids: wp.array[wp.int64]  # (B,)
    num_keys: int
    track_root: bool
    track_root_h: bool
    use_contact_info: bool
    test_bodies: bool
    test_root: bool
    test_fall: bool
    max_root_dist: float  # m
    max_root_angle: float  # rad
    fall_height: float  # m
    episode_length: float  # s


@wp.struct
class BodyTerms:
    """Contributions of bodies and key bodies, before they are summed over an environment's."""

    terms: wp.array2d[wp.vec4]  # (N, J + B): pose, velocity, contact, key
    flags: wp.array2d[wp.int32]  # (N, J)


def task_tables(config: EnvConfig, tensors: TaskTensors) -> Task:
    task = Task()
    task.joint_weights, task.contact_weights = view(tensors.joint_weights), view(tensors.contact_weights)
    task.max_body_dist, task.may_touch = view(tensors.max_body_dist), view(tensors.may_touch)
    task.reward_weights, task.reward_powers = view(tensors.reward_weights), view(tensors.reward_powers)
    task.key_ids = view(tensors.key_ids)
    task.num_keys = len(tensors.key_ids)
    task.track_root, task.track_root_h = config.track_root, config.track_root_h
    task.use_contact_info = config.use_contact_info
    task.test_bodies = config.enable_early_termination and config.pose_termination
    task.test_root = task.test_bodies and config.track_root
    task.test_fall = config.enable_early_termination and bool(config.contact_bodies)
    task.max_root_dist = config.root_pos_termination_dist
    task.max_root_angle = config.root_rot_termination_angle
    task.fall_height = config.termination_height
    task.episode_length = config.episode_length - TIME_EPS
    return task


@wp.func
def own_frame(rot: wp.quat, v: wp.vec3, track_root: bool) -> wp.vec3:
    """A vector in the heading frame of its own root, or as it is where the root itself is tracked."""
    if track_root:
        return v
    return quat_rotate(yaw_quat(-heading(rot)), v)


@wp.func
def own_turn(rot: wp.quat, track_root: bool) -> wp.quat:
    """A root's rotation in its own heading frame, or as it is where the root itself is tracked."""
    if track_root:
        return rot
    return yaw_quat(-heading(rot)) * rot


@wp.func
def key_term(task: Task, sim: StateArrays, ref: Poses, env: int, key: int) -> float:
    """|Δkey|² of one key body relative to the roots, m²."""
    body = int(task.key_ids[key])
    char = sim.body_pos[env, body] - sim.root_pos[env]
    target = ref.body_pos[env, body] - ref.root_pos[env]
    diff = own_frame(ref.root_rot[env], target, task.track_root) - own_frame(
        sim.root_rot[env], char, task.track_root
    )
    return wp.dot(diff, diff)


@wp.func
def body_flags(
    task: Task, terrains: Terrains, sim: StateArrays, ref: Poses, env: int, body: int, terrain: int
) -> int:
    """Which of the body tests hold: off its place, touching though it may not, low though it may not."""
    flags = 0
    pos = sim.body_pos[env, body]
    if task.test_bodies and body > 0:
        rel = pos - sim.body_pos[env, 0]
        target = ref.body_pos[env, body] - ref.body_pos[env, 0]
        if wp.length(rel - target) > task.max_body_dist[body - 1]:
            flags = flags | _OFF
    if task.test_fall and not task.may_touch[body]:
        force = sim.contact_forces[env, body]
        if wp.max(wp.abs(force)) > _MIN_FORCE:
            flags = flags | _TOUCHING
        if pos[2] < height_at(terrains, terrain, pos[0], pos[1]) + task.fall_height:
            flags = flags | _LOW
    return flags


@wp.kernel
def _body_terms(
    task: Task,
    tree: Tree,
    terrains: Terrains,
    episodes: Episodes,
    sim: StateArrays,
    ref: Poses,
    out: BodyTerms,
):
    env, body = wp.tid()
    if body >= tree.num_bodies:
        key = key_term(task, sim, ref, env, body - tree.num_bodies)
        out.terms[env, body] = wp.vec4(0.0, 0.0, 0.0, key)
        return
    pose, vel, contact = 0.0, wp.float32(0.0), 0.0
    if body > 0:
        angle = quat_diff_angle(sim.joint_rot[env, body - 1], ref.joint_rot[env, body - 1])
        pose = task.joint_weights[body - 1] * angle * angle
        for k in range(tree.num_dofs[body]):
            dof = tree.first_dof[body] + k
            diff = ref.dof_vel[env, dof] - sim.dof_vel[env, dof]
            vel += task.joint_weights[body - 1] * diff * diff
    if task.use_contact_info:
        force = wp.min(wp.length(sim.contact_forces[env, body]), 1.0)
        contact = task.contact_weights[body] * (2.0 * ref.contacts[env, body] - 1.0) * force
    out.terms[env, body] = wp.vec4(pose, vel, contact, 0.0)
    terrain = terrain_of(terrains, int(episodes.motion_ids[env]))
    out.flags[env, body] = body_flags(task, terrains, sim, ref, env, body, terrain)


@wp.func
def reward_of(task: Task, tree: Tree, sim: StateArrays, ref: Poses, sums: wp.vec4, env: int) -> float:
    """The weighted terms of `tracking_reward_terms` and the mean contact term."""
    pos = ref.root_pos[env] - sim.root_pos[env]
    char_rot, ref_rot = sim.root_rot[env], ref.root_rot[env]
    vel = own_frame(ref_rot, ref.root_vel[env], task.track_root) - own_frame(
        char_rot, sim.root_vel[env], task.track_root
    )
    ang_vel = own_frame(ref_rot, ref.root_ang_vel[env], task.track_root) - own_frame(
        char_rot, sim.root_ang_vel[env], task.track_root
    )
    if not task.track_root:
        pos = wp.vec3(0.0, 0.0, pos[2])
    if not task.track_root_h:
        pos = wp.vec3(pos[0], pos[1], 0.0)
    angle = quat_diff_angle(own_turn(char_rot, task.track_root), own_turn(ref_rot, task.track_root))
    w, power = task.reward_weights, task.reward_powers
    reward = w[0] * wp.exp(-0.25 * power[0] * sums[0]) + w[1] * wp.exp(-0.01 * power[1] * sums[1])
    reward += w[2] * wp.exp(-5.0 * power[2] * (wp.dot(pos, pos) + 0.1 * angle * angle))
    reward += w[3] * wp.exp(-power[3] * (wp.dot(vel, vel) + 0.1 * wp.dot(ang_vel, ang_vel)))
    reward += w[4] * wp.exp(-10.0 * power[4] * sums[3])
    return reward + sums[2] / float(tree.num_bodies)


@wp.func
def reason_of(
    task: Task, motions: Motions, episodes: Episodes, sim: StateArrays, ref: Poses, flags: int, env: int
) -> int:
    """The first of `FailReason` that applies: later tests win."""
    reason = 0
    motion = int(episodes.motion_ids[env])
    if not motions.wraps[motion] and motion_time(episodes, env) >= motions.length[motion] - _TIME_EPS:
        reason = _MOTION_END
    if (flags & _OFF) != 0:
        reason = _BODY_POSITION
    if task.test_root:
        if quat_diff_angle(sim.root_rot[env], ref.root_rot[env]) > task.max_root_angle:
            reason = _ROOT_ROTATION
        if wp.length(sim.root_pos[env] - ref.root_pos[env]) > task.max_root_dist:
            reason = _ROOT_POSITION
    if (flags & _TOUCHING) != 0 and (flags & _LOW) != 0:
        reason = _FALL
    if sim.diverged[env]:
        reason = _DIVERGED
    return reason


@wp.kernel
def _finish(
    task: Task,
    tree: Tree,
    motions: Motions,
    episodes: Episodes,
    sim: StateArrays,
    ref: Poses,
    bodies: BodyTerms,
):
    env = wp.tid()
    sums = wp.vec4(0.0, 0.0, 0.0, 0.0)
    flags = wp.int32(0)
    for body in range(tree.num_bodies + task.num_keys):
        sums += bodies.terms[env, body]
    for body in range(tree.num_bodies):
        flags = flags | bodies.flags[env, body]
    reward = reward_of(task, tree, sim, ref, sums, env)
    if sim.diverged[env]:  # such a state says nothing about the action
        reward = 0.0
    reason = reason_of(task, motions, episodes, sim, ref, flags, env)
    time = float(episodes.steps[env]) * episodes.control_dt
    done = 0
    if time >= task.episode_length:
        done = _TIME
    if reason > 0 and time > _FIRST_STEP:
        done = _FAIL
    episodes.reward[env] = reward
    episodes.returns[env] = episodes.returns[env] + reward
    episodes.fail_reason[env] = wp.int64(reason)
    episodes.done[env] = wp.int64(done)


class RewardStep:
    """Launches the last part of a step."""

    def __init__(
        self,
        task: Any,
        tree: Any,
        motions: Any,
        terrains: Any,
        episodes: Any,
        sim: Any,
        reference: Any,
        device: torch.device,
    ) -> None:
        num_envs = episodes.done.shape[0]
        self._shape = (num_envs, tree.num_bodies + task.num_keys)
        terms = BodyTerms()
        terms.terms = view(torch.zeros(*self._shape, 4, device=device), wp.vec4)
        terms.flags = view(torch.zeros(num_envs, tree.num_bodies, dtype=torch.int32, device=device))
        self._of_bodies = [task, tree, terrains, episodes, sim, reference, terms]
        self._of_envs = [task, tree, motions, episodes, sim, reference, terms]
        self._device = wp.device_from_torch(device)

    def launch(self) -> None:
        """Warp launches alone: sets reward, done and fail_reason, adds to returns."""
        wp.launch(_body_terms, self._shape, inputs=self._of_bodies, device=self._device)
        wp.launch(_finish, self._shape[0], inputs=self._of_envs, device=self._device)
