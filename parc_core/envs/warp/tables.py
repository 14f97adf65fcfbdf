"""What never changes during a run, as the kernels read it: motions, and functions of them and of the engine's tables of
the character and the terrains."""

# Warp's stubs describe calls from Python; inside kernels arrays and vectors have operators that they do not know.
# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-any-return"

from __future__ import annotations

import warp as wp

from parc_core.engines.mujoco_warp.rotations import quat_rotate
from parc_core.engines.mujoco_warp.types import (
    KIND_HINGE,
    KIND_SPHERICAL,
    CharacterTables,
    TerrainArrays,
    filled,
)
from parc_core.motion.library import MotionLibrary

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


_FRAMES = ("root_pos", "root_rot", "root_vel", "root_ang_vel", "joint_rot", "contacts", "dof_vel")


def motion_tables(library: MotionLibrary) -> Motions:
    """Views of a library's frames; the small tables of motions are copies with 32-bit integers."""
    return filled(
        Motions,
        length=library.lengths.float().contiguous(),
        last=(library.num_frames - 1).int(),
        start=library.start_idx.int(),
        wraps=library.loop_wrap,
        loop_offset=library.loop_offset,
        **{name: getattr(library, f"frame_{name}") for name in _FRAMES},
    )


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
def num_dofs(tree: CharacterTables, body: int) -> int:
    """Dofs of a body's joint: 3 spherical, 1 hinge, 0 root and fixed."""
    if tree.kind[body] == KIND_SPHERICAL:
        return 3
    if tree.kind[body] == KIND_HINGE:
        return 1
    return 0


@wp.func
def joint_dof(tree: CharacterTables, body: int, k: int, vector: wp.vec3) -> float:
    """Dof k of body's joint whose rotation vector is given: a component, or the angle about a hinge's axis."""
    if tree.kind[body] == KIND_HINGE:
        return wp.dot(vector, tree.axis[body])
    return vector[k]


@wp.func
def body_pose(
    tree: CharacterTables, body: int, root: BodyPose, joint_rot: wp.array2d[wp.quat], row: int
) -> BodyPose:
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
def terrain_of(terrain: TerrainArrays, motion: wp.int64) -> wp.int64:
    """Each motion has its own terrain, or there is one for all."""
    if terrain.start.shape[0] == 1:
        return wp.int64(0)
    return motion
