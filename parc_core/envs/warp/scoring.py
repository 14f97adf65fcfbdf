"""Last part of a fused step: reward, done and fail_reason, exactly as the torch environment's.

Threads: one per environment and body for what is summed over bodies, then one per environment. Sums are taken in a
fixed order and not by atomics, so that runs repeat bit for bit. Loops over terms and tests are unrolled, `wp.static`
puts each one's function into the kernel.
"""

# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, misc, no-any-return"

from __future__ import annotations

import torch
import warp as wp

from parc_core.engines.mujoco_warp.types import filled
from parc_core.envs.terminations import FIRST_STEP, TERMINATIONS, DoneFlag
from parc_core.envs.warp.rewards import ERRORS, contact_reward
from parc_core.envs.warp.tables import MODULE_OPTIONS
from parc_core.envs.warp.task import StepArrays, TermVector
from parc_core.envs.warp.terminations import TESTS

wp.set_module_options(MODULE_OPTIONS)

_FIRST_STEP = wp.constant(FIRST_STEP)
_FAIL, _TIME = wp.constant(int(DoneFlag.FAIL)), wp.constant(int(DoneFlag.TIME))
_REASONS = tuple(int(each.reason) for each in TERMINATIONS)
# Each test of a body has its bit in an environment's flags; a termination's mask has the bits of all its tests.
_BODY_TESTS = [(i, test) for i, each in enumerate(TESTS) for test in each.bodies]
_MASKS = [sum(1 << bit for bit, (i, _) in enumerate(_BODY_TESTS) if i == k) for k in range(len(TESTS))]


@wp.struct
class Parts:
    """What bodies contribute, before it is put together for their environment."""

    errors: wp.array2d[TermVector]  # (N, J)
    contact: wp.array2d[wp.float32]  # (N, J)
    flags: wp.array2d[wp.int32]  # (N, J)


# Nested ifs: Warp evaluates both sides of an `and`.
@wp.func
def flags_of(s: StepArrays, env: int, body: int) -> int:
    """Bits of the tests that hold for a body."""
    flags = wp.int32(0)
    for k in range(wp.static(len(_BODY_TESTS))):
        if (s.task.terminations & wp.static(1 << _BODY_TESTS[k][0])) != 0:  # noqa: SIM102
            if wp.static(_BODY_TESTS[k][1])(s, env, body):
                flags = flags | wp.static(1 << k)
    return flags


@wp.func
def reason_of(s: StepArrays, flags: int, env: int) -> int:
    """The first of `TERMINATIONS` that holds, or 0."""
    for k in range(wp.static(len(TESTS))):
        if (s.task.terminations & wp.static(1 << k)) != 0 and (~flags & wp.static(_MASKS[k])) == 0:  # noqa: SIM102
            if wp.static(TESTS[k].env)(s, env):
                return wp.static(_REASONS[k])
    return 0


@wp.kernel
def _bodies(s: StepArrays, out: Parts) -> None:
    env, body = wp.tid()
    errors = TermVector()
    for k in range(wp.static(len(ERRORS))):
        errors[k] = wp.static(ERRORS[k])(s, env, body)
    out.errors[env, body] = errors
    out.contact[env, body] = contact_reward(s, env, body)
    out.flags[env, body] = flags_of(s, env, body)


@wp.kernel
def _environments(s: StepArrays, parts: Parts) -> None:
    env = wp.tid()
    errors, contact, flags = TermVector(), wp.float32(0.0), wp.int32(0)
    for body in range(s.tree.num_bodies):
        errors += parts.errors[env, body]
        contact += parts.contact[env, body]
        flags = flags | parts.flags[env, body]
    reward, valid = wp.float32(0.0), not s.sim.diverged[env]  # such a state says nothing about the action
    for k in range(wp.static(len(ERRORS))):
        term = wp.exp(-s.task.reward_rates[k] * errors[k])
        reward += s.task.reward_weights[k] * term
        s.episodes.terms[env, k] = wp.where(valid, term, 0.0)
    contact /= float(s.tree.num_bodies)
    s.episodes.terms[env, wp.static(len(ERRORS))] = wp.where(valid, contact, 0.0)
    reward = wp.where(valid, reward + contact, 0.0)
    reason = reason_of(s, flags, env)
    time = float(s.episodes.steps[env]) * s.episodes.control_dt
    done = 0
    if time >= s.task.episode_length:
        done = _TIME
    if reason > 0 and time > _FIRST_STEP:
        done = _FAIL
    s.episodes.reward[env] = reward
    s.episodes.returns[env] = s.episodes.returns[env] + reward
    s.episodes.fail_reason[env] = wp.int64(reason)
    s.episodes.done[env] = wp.int64(done)


class ScoringStep:
    """Launches the last part of a step."""

    def __init__(self, arrays: StepArrays, device: torch.device) -> None:
        n, bodies = arrays.episodes.done.shape[0], arrays.tree.num_bodies
        parts = filled(
            Parts,
            errors=torch.zeros(n, bodies, len(ERRORS), device=device),
            contact=torch.zeros(n, bodies, device=device),
            flags=torch.zeros(n, bodies, dtype=torch.int32, device=device),
        )
        self._shape, self._args = (n, bodies), [arrays, parts]
        self._device = wp.device_from_torch(device)

    def launch(self) -> None:
        """Warp launches alone: sets reward, done and fail_reason, adds to returns."""
        wp.launch(_bodies, self._shape, inputs=self._args, device=self._device)
        wp.launch(_environments, self._shape[0], inputs=self._args, device=self._device)
