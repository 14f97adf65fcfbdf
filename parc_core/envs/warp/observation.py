"""The observation vector, written in place: the segments of `observation.SEGMENTS`.

Threads: one per environment and body (and key body), per future step and body, per future step and key body, per height
point. Each writes its own numbers; none waits for another, so a graphics card is filled even by few environments.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-any-return"

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
from parc_core.engines.mujoco_warp.terrain import height_at
from parc_core.engines.mujoco_warp.types import (
    CharacterTables,
    StateArrays,
    TerrainArrays,
    filled,
    has_field,
    view,
)
from parc_core.envs.observation import ROTATION, SEGMENTS, ObservationLayout
from parc_core.envs.task import TaskTensors
from parc_core.envs.warp.arrays import Episodes
from parc_core.envs.warp.reference import motion_time
from parc_core.envs.warp.tables import (
    MODULE_OPTIONS,
    BodyPose,
    Motions,
    body_pose,
    locate,
    num_dofs,
    reference_contact,
    reference_root_pos,
    terrain_of,
)

wp.set_module_options(MODULE_OPTIONS)

_ROTATION = wp.constant(ROTATION)


@wp.struct
class Layout:
    """Where each segment of `observation.ObservationLayout` begins, and the settings that change terms."""

    # In the vector; -1 for one that the config has not.
    root_height: int
    root_rot: int
    root_vel: int
    root_ang_vel: int
    joint_rot: int
    dof_vel: int
    key_pos: int
    targets: int
    target_contacts: int
    contacts: int
    heights: int
    # Within each step of the targets.
    target_width: int
    target_root_pos: int
    target_root_rot: int
    target_joint_rot: int
    target_key_pos: int
    key_ids: wp.array[wp.int64]  # (B,)
    target_steps: wp.array[wp.int64]  # (K,) control steps ahead
    points: wp.array[wp.vec2]  # (P,) m in the heading frame
    global_obs: bool
    global_root_height: bool
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


def layout_arrays(config: EnvConfig, task: TaskTensors, layout: ObservationLayout) -> Layout:
    """The layout as kernels read it.

    Raises:
        KeyError: the config has a segment that no kernel writes.
    """
    starts = {segment.name: -1 for segment in SEGMENTS if has_field(Layout, segment.name)}
    starts.update((name, place.start) for name, place in layout.slices.items())
    return filled(
        Layout,
        **starts,
        **layout.target_starts,
        target_width=layout.target_width,
        key_ids=task.key_ids,
        target_steps=task.target_steps.long(),
        points=task.ray_points.contiguous(),
        global_obs=config.global_obs,
        global_root_height=config.global_root_height_obs,
        contact_eps=config.contact_detection_eps,
        min_height=config.min_obs_h,
        max_height=config.max_obs_h,
    )


@wp.func
def put_vec3(obs: wp.array2d[wp.float32], env: int, at: int, v: wp.vec3) -> None:
    for k in range(3):
        obs[env, at + k] = v[k]


@wp.func
def put_rotation(obs: wp.array2d[wp.float32], env: int, at: int, q: wp.quat) -> None:
    """Images of the x and z axes, 6 numbers."""
    put_vec3(obs, env, at, image_of_x(q))
    put_vec3(obs, env, at + 3, image_of_z(q))


@wp.kernel
def _headings(mask: wp.array[wp.bool], layout: Layout, sim: StateArrays, scratch: Scratch) -> None:
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
def put_root(
    layout: Layout, sim: StateArrays, to_heading: wp.quat, obs: wp.array2d[wp.float32], env: int
) -> None:
    if layout.root_height >= 0:
        obs[env, layout.root_height] = sim.root_pos[env][2]
    put_rotation(obs, env, layout.root_rot, to_heading * sim.root_rot[env])
    put_vec3(obs, env, layout.root_vel, quat_rotate(to_heading, sim.root_vel[env]))
    put_vec3(obs, env, layout.root_ang_vel, quat_rotate(to_heading, sim.root_ang_vel[env]))


@wp.kernel
def _character(
    mask: wp.array[wp.bool],
    layout: Layout,
    tree: CharacterTables,
    sim: StateArrays,
    scratch: Scratch,
    obs: wp.array2d[wp.float32],
) -> None:
    env, body = wp.tid()
    if not mask[env]:
        return
    to_heading = scratch.to_heading[env]
    if body >= tree.num_bodies:
        key = body - tree.num_bodies
        rel = sim.body_pos[env, int(layout.key_ids[key])] - sim.root_pos[env]
        put_vec3(obs, env, layout.key_pos + 3 * key, quat_rotate(to_heading, rel))
        return
    if body == 0:
        put_root(layout, sim, to_heading, obs, env)
    else:
        put_rotation(obs, env, layout.joint_rot + _ROTATION * (body - 1), sim.joint_rot[env, body - 1])
    for k in range(num_dofs(tree, body)):
        dof = tree.dof[body] + k
        obs[env, layout.dof_vel + dof] = sim.dof_vel[env, dof]
    if layout.contacts >= 0:
        touches = 0.0
        if wp.length(sim.contact_forces[env, body]) > layout.contact_eps:
            touches = 1.0
        obs[env, layout.contacts + body] = touches


@wp.func
def put_target_root(
    layout: Layout, sim: StateArrays, scratch: Scratch, obs: wp.array2d[wp.float32], env: int, step: int
) -> None:
    to_heading = scratch.to_heading[env]
    pos = scratch.target_root_pos[env, step]
    rel = quat_rotate(to_heading, pos - sim.root_pos[env])
    if layout.global_root_height:
        rel = wp.vec3(rel[0], rel[1], pos[2])
    at = layout.targets + step * layout.target_width
    put_vec3(obs, env, at + layout.target_root_pos, rel)
    put_rotation(obs, env, at + layout.target_root_rot, to_heading * scratch.target_root_rot[env, step])


@wp.kernel
def _targets(
    mask: wp.array[wp.bool],
    layout: Layout,
    tree: CharacterTables,
    motions: Motions,
    episodes: Episodes,
    sim: StateArrays,
    scratch: Scratch,
    obs: wp.array2d[wp.float32],
) -> None:
    env, step, body = wp.tid()
    if not mask[env]:
        return
    time = motion_time(episodes, env) + float(layout.target_steps[step]) * episodes.control_dt
    place = locate(motions, int(episodes.motion_ids[env]), time)
    if layout.target_contacts >= 0:
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
    scratch.target_joint_rot[env * layout.target_steps.shape[0] + step, body - 1] = rot
    at = layout.targets + step * layout.target_width + layout.target_joint_rot
    put_rotation(obs, env, at + _ROTATION * (body - 1), rot)


@wp.kernel
def _target_keys(
    mask: wp.array[wp.bool],
    layout: Layout,
    tree: CharacterTables,
    sim: StateArrays,
    scratch: Scratch,
    obs: wp.array2d[wp.float32],
) -> None:
    env, step, key = wp.tid()
    if not mask[env]:
        return
    root = BodyPose()
    root.pos = scratch.target_root_pos[env, step]
    root.rot = scratch.target_root_rot[env, step]
    row = env * layout.target_steps.shape[0] + step
    pose = body_pose(tree, int(layout.key_ids[key]), root, scratch.target_joint_rot, row)
    origin = sim.root_pos[env]
    if layout.global_obs:  # the reference measures keys from the target's own root then
        origin = root.pos
    at = layout.targets + step * layout.target_width + layout.target_key_pos
    put_vec3(obs, env, at + 3 * key, quat_rotate(scratch.to_heading[env], pose.pos - origin))


@wp.kernel
def _heights(
    mask: wp.array[wp.bool],
    layout: Layout,
    terrain: TerrainArrays,
    episodes: Episodes,
    sim: StateArrays,
    scratch: Scratch,
    obs: wp.array2d[wp.float32],
) -> None:
    env, p = wp.tid()
    if not mask[env]:
        return
    root, turn, point = sim.root_pos[env], scratch.turn[env], layout.points[p]
    x = turn[0] * point[0] - turn[1] * point[1] + root[0]
    y = turn[1] * point[0] + turn[0] * point[1] + root[1]
    height = height_at(terrain, terrain_of(terrain, episodes.motion_ids[env]), x, y)
    obs[env, layout.heights + p] = wp.clamp(height - root[2], layout.min_height, layout.max_height)


class ObservationStep:
    """Launches the observation of the environments that a mask (N,) bool names."""

    def __init__(
        self,
        layout: Layout,
        tree: CharacterTables,
        motions: Motions,
        terrain: TerrainArrays,
        episodes: Episodes,
        sim: StateArrays,
        obs: Tensor,
    ) -> None:
        n, k, bodies = obs.shape[0], layout.target_steps.shape[0], tree.num_bodies
        keys, points = layout.key_ids.shape[0], layout.points.shape[0]
        shapes = {
            "to_heading": (n, 4),
            "turn": (n, 2),
            "target_root_pos": (n, k, 3),
            "target_root_rot": (n, k, 4),
            "target_joint_rot": (n * k, bodies - 1, 4),
        }
        scratch = filled(
            Scratch, **{name: torch.zeros(shape, device=obs.device) for name, shape in shapes.items()}
        )
        out = view(obs)
        shape_and_args = (
            (_headings, (n,), [layout, sim, scratch]),
            (_character, (n, bodies + keys), [layout, tree, sim, scratch, out]),
            (_targets, (n, k, bodies), [layout, tree, motions, episodes, sim, scratch, out]),
            (_target_keys, (n, k, keys), [layout, tree, sim, scratch, out]),
            (_heights, (n, points), [layout, terrain, episodes, sim, scratch, out]),
        )
        # A launch over no threads is an error on CUDA, and a character may have no key bodies.
        self._launches = [entry for entry in shape_and_args if min(entry[1]) > 0]
        self._device = wp.device_from_torch(obs.device)

    def launch(self, mask: Any) -> None:
        """Warp launches alone: writes the rows of `mask`, a Warp array (N,) of bool."""
        for kernel, shape, args in self._launches:
            wp.launch(kernel, shape, inputs=[mask, *args], device=self._device)
