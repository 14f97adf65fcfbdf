"""What never changes during a run, as the kernels read it: motions, kinematic tree, terrains.

Frames, heights and such are views of the torch tensors and take no memory of their own; the small tables of motions and
bodies are copies with 32-bit integers.
"""

# Warp's stubs describe calls from Python; inside kernels arrays and vectors have operators that they do not know.
# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc"

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.engines.mujoco_warp.rotations import quat_rotate
from parc_core.motion.library import MotionLibrary
from parc_core.terrain.packed import PackedTerrain

# Without contraction to fused multiply-add a time falls into the same frame, and a point into the same terrain cell, as
# in the torch environment.
MODULE_OPTIONS = {"enable_backward": False, "fuse_fp": False}
wp.set_module_options(MODULE_OPTIONS)


@wp.struct
class Motions:
    """`MotionLibrary`: M motions, F frames."""

    length: wp.array[wp.float32]  # (M,) s
    last: wp.array[wp.int32]  # (M,) a motion's last frame, counted from its first
    start: wp.array[wp.int32]  # (M,) place of its first frame among all
    wraps: wp.array[wp.bool]  # (M,)
    loop_offset: wp.array[wp.vec3]  # (M,) m
    root_pos: wp.array[wp.vec3]  # (F,) m
    root_rot: wp.array[wp.quat]
    root_vel: wp.array[wp.vec3]
    root_ang_vel: wp.array[wp.vec3]
    joint_rot: wp.array2d[wp.quat]  # (F, J-1)
    contacts: wp.array2d[wp.float32]  # (F, J)
    dof_vel: wp.array2d[wp.float32]  # (F, D) rad/s


@wp.struct
class Tree:
    """The character's J bodies, root first."""

    num_bodies: int
    parent: wp.array[wp.int32]  # (J,)
    offset: wp.array[wp.vec3]  # (J,) m, in the parent's frame
    rotation: wp.array[wp.quat]  # (J,) in the parent's frame at zero dofs
    first_dof: wp.array[wp.int32]  # (J,)
    num_dofs: wp.array[wp.int32]  # (J,) 3 spherical, 1 hinge, 0 root and fixed
    axis: wp.array[wp.vec3]  # (J,) of a hinge


@wp.struct
class Terrains:
    """`PackedTerrain`."""

    heights: wp.array[wp.float32]  # (cells,) m
    start: wp.array[wp.int64]
    nx: wp.array[wp.int32]
    ny: wp.array[wp.int32]
    min_point: wp.array[wp.vec2]  # m
    dx: wp.array[wp.float32]  # (1,) m
    one_for_all: bool


@wp.struct
class Place:
    """Frames around a time, see `MotionLibrary.locate`."""

    lower: int
    upper: int
    blend: float
    offset: wp.vec3


@wp.struct
class BodyPose:
    """A body in the frame of the root's pose."""

    pos: wp.vec3
    rot: wp.quat


def view(tensor: Tensor, dtype: Any = None) -> Any:
    """The tensor's memory as a Warp array; its last dimension is that of `dtype` (wp.vec3, wp.quat)."""
    return wp.from_torch(tensor) if dtype is None else wp.from_torch(tensor, dtype=dtype)


def motion_tables(library: MotionLibrary) -> Motions:
    tables = Motions()
    tables.length = view(library.lengths.float().contiguous())
    tables.last = view((library.num_frames - 1).int())
    tables.start = view(library.start_idx.int())
    tables.wraps = view(library.loop_wrap)
    tables.loop_offset = view(library.loop_offset, wp.vec3)
    tables.root_pos = view(library.frame_root_pos, wp.vec3)
    tables.root_rot = view(library.frame_root_rot, wp.quat)
    tables.root_vel = view(library.frame_root_vel, wp.vec3)
    tables.root_ang_vel = view(library.frame_root_ang_vel, wp.vec3)
    tables.joint_rot = view(library.frame_joint_rot, wp.quat)
    tables.contacts = view(library.frame_contacts)
    tables.dof_vel = view(library.frame_dof_vel)
    return tables


def body_tables(kinematics: Kinematics) -> Tree:
    character, tree = kinematics.character, Tree()
    tree.num_bodies = character.num_bodies
    tree.parent = view(character.parent_indices.int())
    tree.offset = view(character.local_translation.float().contiguous(), wp.vec3)
    tree.rotation = view(character.local_rotation.float().contiguous(), wp.quat)
    tree.first_dof = view(character.joint_dof_idx.int())
    tree.num_dofs = view(character.joint_dof_dim.int())
    tree.axis = view(character.joint_axis.float().contiguous(), wp.vec3)
    return tree


def terrain_tables(terrain: PackedTerrain) -> Terrains:
    tables = Terrains()
    tables.heights = view(terrain.heights)
    tables.start = view(terrain.start)
    tables.nx = view(terrain.dims[:, 0].int().contiguous())
    tables.ny = view(terrain.dims[:, 1].int().contiguous())
    tables.min_point = view(terrain.min_point, wp.vec2)
    tables.dx = view(terrain.dx.reshape(1).to(torch.float32))
    tables.one_for_all = terrain.num_terrains == 1
    return tables


@wp.func
def locate(motions: Motions, motion: int, time: float) -> Place:
    """`MotionLibrary.locate` for one motion and time (s)."""
    cycles = time / motions.length[motion]
    loops = 0.0
    if motions.wraps[motion]:
        loops = wp.floor(cycles)
    last = motions.last[motion]
    place = wp.clamp(cycles - loops, 0.0, 1.0) * float(last)
    lower = wp.min(int(place), last)
    found = Place()
    found.lower = motions.start[motion] + lower
    found.upper = motions.start[motion] + wp.min(lower + 1, last)
    found.blend = place - float(lower)
    found.offset = loops * motions.loop_offset[motion]
    return found


@wp.func
def reference_root_pos(motions: Motions, place: Place) -> wp.vec3:
    lower = motions.root_pos[place.lower]
    return lower + place.blend * (motions.root_pos[place.upper] - lower) + place.offset


@wp.func
def reference_contact(motions: Motions, place: Place, body: int) -> float:
    lower = motions.contacts[place.lower, body]
    return lower + place.blend * (motions.contacts[place.upper, body] - lower)


@wp.func
def joint_dof(tree: Tree, body: int, k: int, vector: wp.vec3) -> float:
    """Dof k of body's joint whose rotation vector is given: a component, or the angle about a hinge's axis."""
    if tree.num_dofs[body] == 1:
        return wp.dot(vector, tree.axis[body])
    return vector[k]


@wp.func
def body_pose(tree: Tree, body: int, root: BodyPose, joint_rot: wp.array2d[wp.quat], row: int) -> BodyPose:
    """Forward kinematics of one body: up its chain to the root, whose pose is given."""
    pose = BodyPose()
    pose.pos = wp.vec3(0.0, 0.0, 0.0)
    pose.rot = wp.quat(0.0, 0.0, 0.0, 1.0)
    b = int(body)
    while b > 0:
        turn = tree.rotation[b] * joint_rot[row, b - 1]
        pose.pos = tree.offset[b] + quat_rotate(turn, pose.pos)
        pose.rot = turn * pose.rot
        b = tree.parent[b]
    pose.pos = root.pos + quat_rotate(root.rot, pose.pos)
    pose.rot = root.rot * pose.rot
    return pose


@wp.func
def terrain_of(terrains: Terrains, motion: int) -> int:
    """Each motion has its own terrain, or there is one for all."""
    if terrains.one_for_all:
        return 0
    return motion


@wp.func
def height_at(terrains: Terrains, terrain: int, x: float, y: float) -> float:
    """`PackedTerrain.heights_at` of one point: the nearest cell (ties to even), clamped to the border, m."""
    low = terrains.min_point[terrain]
    ny = terrains.ny[terrain]
    i = wp.clamp(int(wp.rint((x - low[0]) / terrains.dx[0])), 0, terrains.nx[terrain] - 1)
    j = wp.clamp(int(wp.rint((y - low[1]) / terrains.dx[0])), 0, ny - 1)
    return terrains.heights[terrains.start[terrain] + wp.int64(i * ny + j)]
