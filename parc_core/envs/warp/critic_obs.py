"""What the critic sees beside the observation, written in place: the terms of `envs/critic_obs.py`.

Threads: one per environment and body.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-any-return"

from __future__ import annotations

from typing import Any

import warp as wp
from torch import Tensor

from parc_core.engines.mujoco_warp.rotations import quat_diff_angle, quat_rotate, slerp
from parc_core.engines.mujoco_warp.types import CharacterTables, filled, view
from parc_core.envs.critic_obs import CRITIC_TERMS, FARTHEST, FORCE, LEAST_LIMIT, TIMES, CriticObs
from parc_core.envs.warp.reference import motion_time
from parc_core.envs.warp.tables import MODULE_OPTIONS, Motions, Place, locate, reference_root_pos
from parc_core.envs.warp.task import StepArrays

wp.set_module_options(MODULE_OPTIONS)

_FORCE, _FARTHEST, _LEAST_LIMIT = wp.constant(FORCE), wp.constant(FARTHEST), wp.constant(LEAST_LIMIT)


@wp.struct
class CriticLayout:
    """Where each term begins; -1 for one that the config has not."""

    time_left: int
    errors: int
    fail_rate: int
    forces: int
    fail_rates: wp.array[wp.float32]  # (M,)


@wp.func
def reference_root_rot(motions: Motions, place: Place) -> wp.quat:
    return slerp(motions.root_rot[place.lower], motions.root_rot[place.upper], place.blend)


@wp.func
def reference_body(motions: Motions, tree: CharacterTables, place: Place, body: int) -> wp.vec3:
    """Of the reference, relative to its root: up the chain, as `tables.body_pose`, with joints looked up on the way."""
    pos = wp.vec3(0.0, 0.0, 0.0)
    b = int(body)
    while b > 0:
        rot = slerp(motions.joint_rot[place.lower, b - 1], motions.joint_rot[place.upper, b - 1], place.blend)
        pos = tree.offset[b] + quat_rotate(tree.rotation[b] * rot, pos)
        b = tree.parent[b]
    return quat_rotate(reference_root_rot(motions, place), pos)


@wp.func
def over_limit(s: StepArrays, error: float, limit: float) -> float:
    limit = wp.max(limit * s.task.limit_scale[0], _LEAST_LIMIT)
    return wp.min(error / limit, _FARTHEST)


@wp.func
def put_errors(
    s: StepArrays, place: Place, at: int, out: wp.array2d[wp.float32], env: int, body: int
) -> None:
    if body == 0:
        dist = wp.length(s.sim.root_pos[env] - reference_root_pos(s.motions, place))
        angle = quat_diff_angle(s.sim.root_rot[env], reference_root_rot(s.motions, place))
        out[env, at] = over_limit(s, dist, s.task.max_root_dist)
        out[env, at + 1] = over_limit(s, angle, s.task.max_root_angle)
        return
    rel = s.sim.body_pos[env, body] - s.sim.body_pos[env, 0]
    dist = wp.length(rel - reference_body(s.motions, s.tree, place, body))
    out[env, at + 1 + body] = over_limit(s, dist, s.task.max_body_dist[body - 1])


@wp.func
def put_time_left(s: StepArrays, at: int, out: wp.array2d[wp.float32], env: int, time: float) -> None:
    motion = s.episodes.motion_ids[env]
    left = wp.max(s.motions.length[motion] - time, 0.0)
    for k in range(wp.static(len(TIMES))):
        out[env, at + k] = wp.where(s.motions.wraps[motion], 0.0, wp.exp(-left / wp.static(TIMES[k])))


@wp.kernel
def _critic(
    mask: wp.array[wp.bool], layout: CriticLayout, s: StepArrays, out: wp.array2d[wp.float32]
) -> None:
    env, body = wp.tid()
    if not mask[env]:
        return
    motion = s.episodes.motion_ids[env]
    time = motion_time(s.episodes, env)
    if layout.forces >= 0:
        out[env, layout.forces + body] = wp.log(1.0 + wp.length(s.sim.contact_forces[env, body]) / _FORCE)
    if layout.errors >= 0:
        put_errors(s, locate(s.motions, int(motion), time), layout.errors, out, env, body)
    if body == 0:
        if layout.time_left >= 0:
            put_time_left(s, layout.time_left, out, env, time)
        if layout.fail_rate >= 0:
            out[env, layout.fail_rate] = layout.fail_rates[motion]


class CriticObsStep:
    """Launches them for the environments that a mask (N,) bool names; nothing where the critic sees nothing more."""

    def __init__(self, terms: CriticObs, arrays: StepArrays, fail_rates: Tensor, out: Tensor) -> None:
        """Args:
        fail_rates: (M,), whose changes in place are seen.
        out: (N, terms.dim).
        """
        starts = {name: terms.starts.get(name, -1) for name in CRITIC_TERMS}
        layout = filled(CriticLayout, **starts, fail_rates=fail_rates)
        self._shape = (out.shape[0], arrays.tree.num_bodies) if terms.dim > 0 else None
        self._args = [layout, arrays, view(out) if terms.dim > 0 else None]
        self._device = wp.device_from_torch(out.device)

    def launch(self, mask: Any) -> None:
        """Warp launches alone: writes the rows of `mask`, a Warp array (N,) of bool."""
        if self._shape is not None:
            wp.launch(_critic, self._shape, inputs=[mask, *self._args], device=self._device)
