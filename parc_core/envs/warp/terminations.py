"""The tests of `envs/terminations.py` for kernels."""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-any-return"

from __future__ import annotations

from typing import Callable, NamedTuple, Tuple

import warp as wp

from parc_core.engines.mujoco_warp.rotations import quat_diff_angle
from parc_core.engines.mujoco_warp.terrain import height_at
from parc_core.envs.terminations import MIN_FALL_FORCE, TERMINATIONS, TIME_EPS, FailReason
from parc_core.envs.warp.reference import motion_time
from parc_core.envs.warp.tables import terrain_of
from parc_core.envs.warp.task import StepArrays

_MIN_FORCE, _TIME_EPS = wp.constant(MIN_FALL_FORCE), wp.constant(TIME_EPS)


@wp.func
def body_off(s: StepArrays, env: int, body: int) -> bool:
    if body == 0:
        return False
    rel = s.sim.body_pos[env, body] - s.sim.body_pos[env, 0]
    target = s.ref.body_pos[env, body] - s.ref.body_pos[env, 0]
    return wp.length(rel - target) > s.task.max_body_dist[body - 1] * s.task.limit_scale[0]


@wp.func
def touching(s: StepArrays, env: int, body: int) -> bool:
    """A body touches something, though it may not."""
    if s.task.may_touch[body]:
        return False
    return wp.max(wp.abs(s.sim.contact_forces[env, body])) > _MIN_FORCE


@wp.func
def low(s: StepArrays, env: int, body: int) -> bool:
    """A body that may not touch the ground is near it."""
    if s.task.may_touch[body]:
        return False
    pos = s.sim.body_pos[env, body]
    terrain = terrain_of(s.terrain, s.episodes.motion_ids[env])
    return pos[2] < height_at(s.terrain, terrain, pos[0], pos[1]) + s.task.fall_height


@wp.func
def always(s: StepArrays, env: int) -> bool:
    return True


@wp.func
def has_diverged(s: StepArrays, env: int) -> bool:
    return s.sim.diverged[env]


@wp.func
def root_far(s: StepArrays, env: int) -> bool:
    return wp.length(s.sim.root_pos[env] - s.ref.root_pos[env]) > s.task.max_root_dist * s.task.limit_scale[0]


@wp.func
def root_turned(s: StepArrays, env: int) -> bool:
    return (
        quat_diff_angle(s.sim.root_rot[env], s.ref.root_rot[env])
        > s.task.max_root_angle * s.task.limit_scale[0]
    )


@wp.func
def motion_ended(s: StepArrays, env: int) -> bool:
    motion = s.episodes.motion_ids[env]
    if s.motions.wraps[motion]:
        return False
    return motion_time(s.episodes, env) >= s.motions.length[motion] - _TIME_EPS


class Test(NamedTuple):
    """Holds where each of the tests of bodies holds for some body, and that of the environment does."""

    bodies: Tuple[Callable[..., bool], ...] = ()
    """(env, body) -> bool."""
    env: Callable[..., bool] = always
    """(env) -> bool."""


_TWINS = {
    FailReason.DIVERGED: Test(env=has_diverged),
    FailReason.FALL: Test(bodies=(touching, low)),
    FailReason.ROOT_POSITION: Test(env=root_far),
    FailReason.ROOT_ROTATION: Test(env=root_turned),
    FailReason.BODY_POSITION: Test(bodies=(body_off,)),
    FailReason.MOTION_END: Test(env=motion_ended),
}
TESTS = tuple(_TWINS[each.reason] for each in TERMINATIONS)
"""In the order of `TERMINATIONS`."""
