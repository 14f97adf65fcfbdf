"""Starting environments anew: those of a mask go to the drawn motions and times.

The same as `TrackingEnv._place`, for as many environments as the mask names, without knowing how many these are.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-any-return"

from __future__ import annotations

from typing import Any

import torch
import warp as wp

from parc_core.engines.engine import ResetState
from parc_core.engines.mujoco_warp.rotations import exp_map_to_quat, quat_to_exp_map, slerp
from parc_core.engines.mujoco_warp.types import CharacterTables, TerrainArrays, filled
from parc_core.envs.warp.arrays import Episodes
from parc_core.envs.warp.tables import (
    MODULE_OPTIONS,
    Motions,
    joint_dof,
    locate,
    num_dofs,
    reference_root_pos,
    terrain_of,
)

wp.set_module_options(MODULE_OPTIONS)


@wp.struct
class Start:
    """What was drawn for every environment, and where its state goes."""

    mask: wp.array[wp.bool]  # (N,)
    motion_ids: wp.array[wp.int64]
    times: wp.array[wp.float32]  # s
    shift: wp.array[wp.vec2]  # m, along x and y
    noise: wp.array2d[wp.float32]  # (N, 9 + 2 D), of start_noise.NoiseSource
    num_dofs: int
    root_pos: wp.array[wp.vec3]
    root_rot: wp.array[wp.quat]
    root_vel: wp.array[wp.vec3]
    root_ang_vel: wp.array[wp.vec3]
    dof_pos: wp.array2d[wp.float32]
    dof_vel: wp.array2d[wp.float32]
    terrain_ids: wp.array[wp.int64]


@wp.func
def _noise(start: Start, env: int, first: int) -> wp.vec3:
    return wp.vec3(start.noise[env, first], start.noise[env, first + 1], start.noise[env, first + 2])


@wp.kernel
def _roots(start: Start, motions: Motions, terrain: TerrainArrays, episodes: Episodes) -> None:
    env = wp.tid()
    if not start.mask[env]:
        return
    motion = int(start.motion_ids[env])
    place = locate(motions, motion, start.times[env])
    shift = start.shift[env]
    start.root_pos[env] = reference_root_pos(motions, place) + wp.vec3(shift[0], shift[1], 0.0)
    turn = exp_map_to_quat(_noise(start, env, 0))
    start.root_rot[env] = turn * slerp(
        motions.root_rot[place.lower], motions.root_rot[place.upper], place.blend
    )
    start.root_vel[env] = motions.root_vel[place.lower] + _noise(start, env, 3)
    start.root_ang_vel[env] = motions.root_ang_vel[place.lower] + _noise(start, env, 6)
    start.terrain_ids[env] = terrain_of(terrain, start.motion_ids[env])
    episodes.motion_ids[env] = wp.int64(motion)
    episodes.start_times[env] = start.times[env]
    episodes.steps[env] = wp.int64(0)
    episodes.done[env] = wp.int64(0)
    episodes.fail_reason[env] = wp.int64(0)
    episodes.returns[env] = 0.0


@wp.kernel
def _joints(start: Start, motions: Motions, tree: CharacterTables) -> None:
    env, joint = wp.tid()
    if not start.mask[env]:
        return
    place = locate(motions, int(start.motion_ids[env]), start.times[env])
    lower, upper = motions.joint_rot[place.lower, joint], motions.joint_rot[place.upper, joint]
    vector = quat_to_exp_map(slerp(lower, upper, place.blend))
    body = joint + 1
    for k in range(num_dofs(tree, body)):
        dof = tree.dof[body] + k
        start.dof_pos[env, dof] = joint_dof(tree, body, k, vector) + start.noise[env, 9 + dof]
        velocity = start.noise[env, 9 + start.num_dofs + dof]
        start.dof_vel[env, dof] = motions.dof_vel[place.lower, dof] + velocity


class ResetStep:
    """Launches the placing of environments.

    Attributes:
        mask: (N,) bool: which start anew. Filled in before, as are:
        motion_ids, times, shift: (N,) int64, (N,) s, (N, 2) m.
        noise: (N, 9 + 2 D) of a `NoiseSource`.
    """

    def __init__(
        self,
        state: ResetState,
        motions: Motions,
        tree: CharacterTables,
        terrain: TerrainArrays,
        episodes: Episodes,
    ) -> None:
        n, device = state.root_pos.shape[0], state.root_pos.device
        self.mask = torch.zeros(n, dtype=torch.bool, device=device)
        self.motion_ids = torch.zeros(n, dtype=torch.long, device=device)
        self.times = torch.zeros(n, device=device)
        self.shift = torch.zeros(n, 2, device=device)
        dofs = state.dof_pos.shape[1]
        self.noise = torch.zeros(n, 9 + 2 * dofs, device=device)
        drawn = {"mask": self.mask, "motion_ids": self.motion_ids, "times": self.times, "shift": self.shift}
        start = filled(Start, **vars(state), **drawn, noise=self.noise, num_dofs=dofs)
        self.mask_array: Any = start.mask
        self._roots = [start, motions, terrain, episodes]
        self._joints = [start, motions, tree]
        self._shape = (n, tree.num_bodies - 1)
        self._device = wp.device_from_torch(device)

    def launch(self) -> None:
        """Warp launches alone: episode fields and the engine's reset state of the masked environments."""
        wp.launch(_roots, self._shape[0], inputs=self._roots, device=self._device)
        if self._shape[1] > 0:
            wp.launch(_joints, self._shape, inputs=self._joints, device=self._device)
