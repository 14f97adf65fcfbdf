"""The observation vector, written in place: the same terms in the same order as `observer.Observer`.

Threads: one per environment and body (and key body), per future step and body, per future step and key body, per height
point. Each writes its own numbers; none waits for another, so a graphics card is filled even by few environments.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc"

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from parc_core.config.env_config import EnvConfig
from parc_core.engines.mujoco_warp.rotations import (
    heading,
    image_of_x,
    image_of_z,
    quat_rotate,
    slerp,
    yaw_quat,
)
from parc_core.engines.mujoco_warp.types import StateArrays
from parc_core.envs.observations import split_sizes
from parc_core.envs.task import TaskTensors
from parc_core.envs.warp.arrays import Episodes
from parc_core.envs.warp.reference import motion_time
from parc_core.envs.warp.tables import (
    MODULE_OPTIONS,
    BodyPose,
    Motions,
    Terrains,
    Tree,
    body_pose,
    height_at,
    locate,
    reference_contact,
    reference_root_pos,
    terrain_of,
    view,
)

wp.set_module_options(MODULE_OPTIONS)


@wp.struct
class Layout:
    """Where each term begins in the vector, and the settings that change terms."""

    key_ids: wp.array[wp.int64]  # (B,)
    num_keys: int
    target_steps: wp.array[wp.int64]  # (K,) control steps ahead
    num_steps: int
    points: wp.array[wp.vec2]  # (P,) m in the heading frame
    root: int
    joints: int
    dofs: int
    keys: int
    targets: int
    target_size: int
    target_contacts: int
    contacts: int
    heights: int
    global_obs: bool
    root_height_obs: bool
    global_root_height: bool
    use_contact_info: bool
    contact_eps: float  # N
    min_height: float  # m
    max_height: float  # m


@wp.struct
class Scratch:
    """What threads of later kernels need of earlier ones."""

    to_heading: wp.array[wp.quat]  # (N,) from the world's axes to the observation's: H⁻¹, or identity
    turn: wp.array[wp.vec2]  # (N,) cosine and sine of the heading
    target_root_pos: wp.array2d[wp.vec3]  # (N, K)
    target_root_rot: wp.array2d[wp.quat]
    target_joint_rot: wp.array2d[wp.quat]  # (N·K, J-1)


def layout_of(config: EnvConfig, task: TaskTensors, num_bodies: int, num_dofs: int) -> Layout:
    """Offsets of the terms for a character of J bodies and D dofs."""
    keys, steps, joints = len(task.key_ids), len(task.target_steps), num_bodies - 1
    char_dim, target_dim = split_sizes(joints, num_dofs, keys, steps, config.root_height_obs)
    out = Layout()
    out.key_ids, out.num_keys = view(task.key_ids), keys
    out.target_steps, out.num_steps = view(task.target_steps.long()), steps
    out.points = view(task.ray_points.contiguous(), wp.vec2)
    out.root = int(config.root_height_obs)
    out.joints = out.root + 12
    out.dofs = out.joints + 6 * joints
    out.keys = out.dofs + num_dofs
    out.targets, out.target_size = char_dim, target_dim // steps
    out.target_contacts = char_dim + target_dim
    out.contacts = out.target_contacts + steps * num_bodies
    out.heights = out.contacts + num_bodies if config.use_contact_info else out.target_contacts
    out.global_obs, out.root_height_obs = config.global_obs, config.root_height_obs
    out.global_root_height, out.use_contact_info = config.global_root_height_obs, config.use_contact_info
    out.contact_eps = config.contact_detection_eps
    out.min_height, out.max_height = config.min_obs_h, config.max_obs_h
    return out


@wp.func
def put_vec3(obs: wp.array2d[wp.float32], env: int, at: int, v: wp.vec3):
    for k in range(3):
        obs[env, at + k] = v[k]


@wp.func
def put_rotation(obs: wp.array2d[wp.float32], env: int, at: int, q: wp.quat):
    """Images of the x and z axes, 6 numbers."""
    put_vec3(obs, env, at, image_of_x(q))
    put_vec3(obs, env, at + 3, image_of_z(q))


@wp.kernel
def _headings(mask: wp.array[wp.bool], layout: Layout, sim: StateArrays, scratch: Scratch):
    env = wp.tid()
    if not mask[env]:
        return
    yaw = heading(sim.root_rot[env])
    scratch.turn[env] = wp.vec2(wp.cos(yaw), wp.sin(yaw))
    to_heading = wp.quat(0.0, 0.0, 0.0, 1.0)
    if not layout.global_obs:
        to_heading = yaw_quat(-yaw)
    scratch.to_heading[env] = to_heading


@wp.func
def put_root(layout: Layout, sim: StateArrays, to_heading: wp.quat, obs: wp.array2d[wp.float32], env: int):
    if layout.root_height_obs:
        obs[env, 0] = sim.root_pos[env][2]
    put_rotation(obs, env, layout.root, to_heading * sim.root_rot[env])
    put_vec3(obs, env, layout.root + 6, quat_rotate(to_heading, sim.root_vel[env]))
    put_vec3(obs, env, layout.root + 9, quat_rotate(to_heading, sim.root_ang_vel[env]))


@wp.kernel
def _character(
    mask: wp.array[wp.bool],
    layout: Layout,
    tree: Tree,
    sim: StateArrays,
    scratch: Scratch,
    obs: wp.array2d[wp.float32],
):
    env, body = wp.tid()
    if not mask[env]:
        return
    to_heading = scratch.to_heading[env]
    if body >= tree.num_bodies:
        key = body - tree.num_bodies
        rel = sim.body_pos[env, int(layout.key_ids[key])] - sim.root_pos[env]
        put_vec3(obs, env, layout.keys + 3 * key, quat_rotate(to_heading, rel))
        return
    if body == 0:
        put_root(layout, sim, to_heading, obs, env)
    else:
        put_rotation(obs, env, layout.joints + 6 * (body - 1), sim.joint_rot[env, body - 1])
    for k in range(tree.num_dofs[body]):
        dof = tree.first_dof[body] + k
        obs[env, layout.dofs + dof] = sim.dof_vel[env, dof]
    if layout.use_contact_info:
        touches = 0.0
        if wp.length(sim.contact_forces[env, body]) > layout.contact_eps:
            touches = 1.0
        obs[env, layout.contacts + body] = touches


@wp.func
def put_target_root(
    layout: Layout, sim: StateArrays, scratch: Scratch, obs: wp.array2d[wp.float32], env: int, step: int
):
    to_heading = scratch.to_heading[env]
    pos = scratch.target_root_pos[env, step]
    rel = quat_rotate(to_heading, pos - sim.root_pos[env])
    if layout.global_root_height:
        rel = wp.vec3(rel[0], rel[1], pos[2])
    at = layout.targets + step * layout.target_size
    put_vec3(obs, env, at, rel)
    put_rotation(obs, env, at + 3, to_heading * scratch.target_root_rot[env, step])


@wp.kernel
def _targets(
    mask: wp.array[wp.bool],
    layout: Layout,
    tree: Tree,
    motions: Motions,
    episodes: Episodes,
    sim: StateArrays,
    scratch: Scratch,
    obs: wp.array2d[wp.float32],
):
    env, step, body = wp.tid()
    if not mask[env]:
        return
    time = motion_time(episodes, env) + float(layout.target_steps[step]) * episodes.control_dt
    place = locate(motions, int(episodes.motion_ids[env]), time)
    if layout.use_contact_info:
        at = layout.target_contacts + step * tree.num_bodies + body
        obs[env, at] = reference_contact(motions, place, body)
    if body == 0:
        scratch.target_root_pos[env, step] = reference_root_pos(motions, place)
        scratch.target_root_rot[env, step] = slerp(
            motions.root_rot[place.lower], motions.root_rot[place.upper], place.blend
        )
        put_target_root(layout, sim, scratch, obs, env, step)
        return
    lower, upper = motions.joint_rot[place.lower, body - 1], motions.joint_rot[place.upper, body - 1]
    rot = slerp(lower, upper, place.blend)
    scratch.target_joint_rot[env * layout.num_steps + step, body - 1] = rot
    put_rotation(obs, env, layout.targets + step * layout.target_size + 9 + 6 * (body - 1), rot)


@wp.kernel
def _target_keys(
    mask: wp.array[wp.bool],
    layout: Layout,
    tree: Tree,
    sim: StateArrays,
    scratch: Scratch,
    obs: wp.array2d[wp.float32],
):
    env, step, key = wp.tid()
    if not mask[env]:
        return
    root = BodyPose()
    root.pos = scratch.target_root_pos[env, step]
    root.rot = scratch.target_root_rot[env, step]
    row = env * layout.num_steps + step
    pose = body_pose(tree, int(layout.key_ids[key]), root, scratch.target_joint_rot, row)
    origin = sim.root_pos[env]
    if layout.global_obs:  # the reference measures keys from the target's own root then
        origin = root.pos
    at = layout.targets + (step + 1) * layout.target_size - 3 * layout.num_keys + 3 * key
    put_vec3(obs, env, at, quat_rotate(scratch.to_heading[env], pose.pos - origin))


@wp.kernel
def _heights(
    mask: wp.array[wp.bool],
    layout: Layout,
    terrains: Terrains,
    episodes: Episodes,
    sim: StateArrays,
    scratch: Scratch,
    obs: wp.array2d[wp.float32],
):
    env, p = wp.tid()
    if not mask[env]:
        return
    root, turn, point = sim.root_pos[env], scratch.turn[env], layout.points[p]
    x = turn[0] * point[0] - turn[1] * point[1] + root[0]
    y = turn[1] * point[0] + turn[0] * point[1] + root[1]
    height = height_at(terrains, terrain_of(terrains, int(episodes.motion_ids[env])), x, y)
    obs[env, layout.heights + p] = wp.clamp(height - root[2], layout.min_height, layout.max_height)


class ObservationStep:
    """Launches the observation of the environments that a mask (N,) bool names."""

    def __init__(
        self,
        layout: Any,
        tree: Any,
        motions: Any,
        terrains: Any,
        episodes: Any,
        sim: Any,
        obs: Tensor,
    ) -> None:
        n, k, bodies = obs.shape[0], layout.num_steps, tree.num_bodies
        scratch = Scratch()
        scratch.to_heading = view(torch.zeros(n, 4, device=obs.device), wp.quat)
        scratch.turn = view(torch.zeros(n, 2, device=obs.device), wp.vec2)
        scratch.target_root_pos = view(torch.zeros(n, k, 3, device=obs.device), wp.vec3)
        scratch.target_root_rot = view(torch.zeros(n, k, 4, device=obs.device), wp.quat)
        scratch.target_joint_rot = view(torch.zeros(n * k, bodies - 1, 4, device=obs.device), wp.quat)
        out = view(obs)
        shape_and_args = (
            (_headings, (n,), [layout, sim, scratch]),
            (_character, (n, bodies + layout.num_keys), [layout, tree, sim, scratch, out]),
            (_targets, (n, k, bodies), [layout, tree, motions, episodes, sim, scratch, out]),
            (_target_keys, (n, k, layout.num_keys), [layout, tree, sim, scratch, out]),
            (_heights, (n, layout.points.shape[0]), [layout, terrains, episodes, sim, scratch, out]),
        )
        # A launch over no threads is an error on CUDA, and a character may have no key bodies.
        self._launches = [entry for entry in shape_and_args if min(entry[1]) > 0]
        self._device = wp.device_from_torch(obs.device)

    def launch(self, mask: Any) -> None:
        """Warp launches alone: writes the rows of `mask`, a Warp array (N,) of bool."""
        for kernel, shape, args in self._launches:
            wp.launch(kernel, shape, inputs=[mask, *args], device=self._device)
