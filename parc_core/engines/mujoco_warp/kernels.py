"""Kernels of engine `mujoco_warp` around MuJoCo Warp's own step: window, recovery, reading, resets.

One thread an environment unless it says otherwise. The formulas are those of `MujocoEngine`, its oracle.
"""

# Warp's stubs describe calls from Python; inside kernels arrays and vectors have operators that they do not know.
# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, attr-defined, valid-type, misc"

from __future__ import annotations

import mujoco_warp
import warp as wp

from parc_core.engines.engine import MAX_SPEED
from parc_core.engines.mujoco_warp.rotations import exp_map_to_quat, quat_conj, quat_rotate, quat_to_exp_map
from parc_core.engines.mujoco_warp.terrain import cell_center, cell_height, cell_index, height_at
from parc_core.engines.mujoco_warp.types import (
    KIND_HINGE,
    KIND_SPHERICAL,
    CharacterTables,
    ResetArrays,
    StateArrays,
    TerrainArrays,
)

# Contraction to fused multiply-add would move columns by a last digit against the CPU engine's.
wp.set_module_options({"enable_backward": False, "fuse_fp": False})

_MAX_SPEED = wp.constant(MAX_SPEED)
_OVERFLOW = mujoco_warp.OverflowType
# Without room in any of these buffers contacts get lost; they are shared, so all environments may be concerned.
_CONTACTS_LOST = wp.constant(
    int(_OVERFLOW.BROADPHASE | _OVERFLOW.NARROWPHASE | _OVERFLOW.CCD | _OVERFLOW.EPA_HORIZON)
)
_CONSTRAINTS_LOST = wp.constant(int(_OVERFLOW.NEFC | _OVERFLOW.NJMAX_NNZ | _OVERFLOW.NVMAX))
COUNTERS = ("window_exits", "contact_overflows", "constraint_overflows", "diverged")
_WINDOW_EXITS = wp.constant(0)
_CONTACT_OVERFLOWS = wp.constant(1)
_CONSTRAINT_OVERFLOWS = wp.constant(2)
_DIVERGED = wp.constant(3)


@wp.kernel
def move_window(
    terrain: TerrainArrays,
    terrain_ids: wp.array[wp.int64],
    root_pos: wp.array[wp.vec3],
    window: int,
    half_height: float,
    mocap_pos: wp.array2d[wp.vec3],
):
    """Puts the columns under each root, tops at the terrain's heights. One thread a column: (N, window²)."""
    env, column = wp.tid()
    at = root_pos[env]
    cell = cell_index(terrain, terrain_ids[env], at[0], at[1])
    cell += wp.vec2i(column // window - window // 2, column % window - window // 2)
    center = cell_center(terrain, terrain_ids[env], cell)
    mocap_pos[env, column] = wp.vec3(
        center[0], center[1], cell_height(terrain, terrain_ids[env], cell) - half_height
    )


@wp.func
def _has_diverged(qpos: wp.array[float], qvel: wp.array[float]) -> bool:
    """A position is not finite, or a speed is too large or not a number."""
    for i in range(qpos.shape[0]):
        if not wp.isfinite(qpos[i]):
            return True
    fastest = float(0.0)  # noqa: UP018 - a literal would be a constant to Warp
    for i in range(qvel.shape[0]):
        if not wp.isfinite(qvel[i]):
            return True
        fastest = wp.max(fastest, wp.abs(qvel[i]))
    return fastest > _MAX_SPEED


@wp.func
def _leaves_window(
    terrain: TerrainArrays,
    terrain_id: wp.int64,
    corner: wp.vec3,
    window: int,
    geom_pos: wp.array[wp.vec3],
    first_geom: int,
    geom_radius: wp.array[float],
) -> bool:
    """The middle of a shape is beside the window's columns, and ground there would be within the shape's reach.

    Args:
        corner: centre of the first column.
        geom_pos: middles of the model's shapes, the character's from first_geom on.
        geom_radius: radius of the sphere around each of the character's shapes, m.
    """
    dx = terrain.dx[0]
    for k in range(geom_radius.shape[0]):
        at = geom_pos[first_geom + k]
        # In columns from the window's edge.
        x = (at[0] - corner[0]) / dx + 0.5
        y = (at[1] - corner[1]) / dx + 0.5
        if (wp.min(x, y) < 0.0 or wp.max(x, y) > float(window)) and at[2] - geom_radius[k] < height_at(
            terrain, terrain_id, at[0], at[1]
        ):
            return True
    return False


@wp.kernel
def recover_and_count(
    terrain: TerrainArrays,
    terrain_ids: wp.array[wp.int64],
    rest_qpos: wp.array[float],
    rest_height: float,
    mocap_pos: wp.array2d[wp.vec3],
    window: int,
    geom_pos: wp.array2d[wp.vec3],
    first_geom: int,
    geom_radius: wp.array[float],
    state: StateArrays,
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    warmstart: wp.array2d[float],
    overflow: wp.array[int],
    counters: wp.array[wp.int64],
):
    """Puts diverged simulations to the rest pose above the ground and counts what went wrong in this step.

    Reads `state.root_pos` of before the step: there, where it was last well, the character is put back.
    """
    env = wp.tid()
    one = wp.int64(1)
    if (overflow[env] & _CONTACTS_LOST) != 0:
        wp.atomic_add(counters, _CONTACT_OVERFLOWS, one)
    if (overflow[env] & _CONSTRAINTS_LOST) != 0:
        wp.atomic_add(counters, _CONSTRAINT_OVERFLOWS, one)
    overflow[env] = 0
    diverged = _has_diverged(qpos[env], qvel[env])
    state.diverged[env] = diverged
    if not diverged:
        if _leaves_window(
            terrain, terrain_ids[env], mocap_pos[env, 0], window, geom_pos[env], first_geom, geom_radius
        ):
            wp.atomic_add(counters, _WINDOW_EXITS, one)
        return
    wp.atomic_add(counters, _DIVERGED, one)
    at = state.root_pos[env]
    for i in range(qpos.shape[1]):
        qpos[env, i] = rest_qpos[i]
    qpos[env, 0] = at[0]
    qpos[env, 1] = at[1]
    qpos[env, 2] = height_at(terrain, terrain_ids[env], at[0], at[1]) + rest_height
    for i in range(qvel.shape[1]):
        qvel[env, i] = 0.0
        warmstart[env, i] = 0.0
    for body in range(state.contact_forces.shape[1]):
        state.contact_forces[env, body] = wp.vec3()


@wp.func
def _read_state(
    tree: CharacterTables, env: int, qpos: wp.array[float], qvel: wp.array[float], state: StateArrays
):
    """MuJoCo's coordinates to `EngineState`, bodies by forward kinematics."""
    root_pos = wp.vec3(qpos[0], qpos[1], qpos[2])
    root_rot = wp.quat(qpos[4], qpos[5], qpos[6], qpos[3])  # MuJoCo stores wxyz
    state.root_pos[env] = root_pos
    state.root_rot[env] = root_rot
    state.root_vel[env] = wp.vec3(qvel[0], qvel[1], qvel[2])
    state.root_ang_vel[env] = quat_rotate(root_rot, wp.vec3(qvel[3], qvel[4], qvel[5]))
    state.body_pos[env, 0] = root_pos
    state.body_rot[env, 0] = root_rot
    for body in range(1, tree.num_bodies):
        turn = wp.quat(0.0, 0.0, 0.0, 1.0)
        dof, at = tree.dof[body], tree.qpos[body]
        if tree.kind[body] == KIND_SPHERICAL:
            turn = wp.quat(qpos[at + 1], qpos[at + 2], qpos[at + 3], qpos[at])
            vector = quat_to_exp_map(turn)
            for k in range(3):
                state.dof_pos[env, dof + k] = vector[k]
        elif tree.kind[body] == KIND_HINGE:
            # The angle is read as it is: the quaternion would wrap it.
            state.dof_pos[env, dof] = qpos[at]
            xyz = wp.sin(0.5 * qpos[at]) * tree.axis[body]
            turn = wp.quat(xyz[0], xyz[1], xyz[2], wp.cos(0.5 * qpos[at]))
        state.joint_rot[env, body - 1] = turn
        parent = tree.parent[body]
        parent_rot = state.body_rot[env, parent]
        state.body_pos[env, body] = state.body_pos[env, parent] + quat_rotate(parent_rot, tree.offset[body])
        state.body_rot[env, body] = parent_rot * (tree.rotation[body] * turn)
    for dof in range(tree.dof_size):
        state.dof_vel[env, dof] = qvel[6 + dof]


@wp.kernel
def read_state(tree: CharacterTables, qpos: wp.array2d[float], qvel: wp.array2d[float], state: StateArrays):
    """All environments' MuJoCo coordinates to `EngineState`."""
    env = wp.tid()
    _read_state(tree, env, qpos[env], qvel[env], state)


@wp.func
def _write_joints(tree: CharacterTables, dof_pos: wp.array[float], qpos: wp.array[float]):
    for body in range(1, tree.num_bodies):
        dof, at = tree.dof[body], tree.qpos[body]
        if tree.kind[body] == KIND_SPHERICAL:
            turn = exp_map_to_quat(wp.vec3(dof_pos[dof], dof_pos[dof + 1], dof_pos[dof + 2]))
            qpos[at] = turn[3]
            for k in range(3):
                qpos[at + 1 + k] = turn[k]
        elif tree.kind[body] == KIND_HINGE:
            qpos[at] = dof_pos[dof]


@wp.kernel
def place(
    tree: CharacterTables,
    mask: wp.array[wp.bool],
    to: ResetArrays,
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    warmstart: wp.array2d[float],
    terrain_ids: wp.array[wp.int64],
    state: StateArrays,
):
    """Puts the environments of the mask into the given state and reads it back."""
    env = wp.tid()
    if not mask[env]:
        return
    pos, rot, vel = to.root_pos[env], to.root_rot[env], to.root_vel[env]
    spin = quat_rotate(quat_conj(rot), to.root_ang_vel[env])
    for k in range(3):
        qpos[env, k] = pos[k]
        qpos[env, 4 + k] = rot[k]
        qvel[env, k] = vel[k]
        qvel[env, 3 + k] = spin[k]
    qpos[env, 3] = rot[3]
    _write_joints(tree, to.dof_pos[env], qpos[env])
    for dof in range(tree.dof_size):
        qvel[env, 6 + dof] = to.dof_vel[env, dof]
    for i in range(warmstart.shape[1]):
        warmstart[env, i] = 0.0
    terrain_ids[env] = to.terrain_ids[env]
    state.diverged[env] = False
    for body in range(tree.num_bodies):
        state.contact_forces[env, body] = wp.vec3()
    _read_state(tree, env, qpos[env], qvel[env], state)
