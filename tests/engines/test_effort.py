"""Torque limits: what the target may ask for, and that light limbs are not shaken by it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.testing import assert_close

from parc_core.engines.effort import effort_reach, targets_within_effort
from parc_core.terrain.packed import PackedTerrain
from tests.engines.scenes import HIGH, flat, state
from tests.envs.scenes import humanoid

THIGH_TWIST = 16  # right hip, about the thigh's own axis: 0.03 kg m²


def test_the_torque_of_a_limited_target_is_within_the_effort() -> None:
    c = humanoid()
    lead, reach = effort_reach(c)
    g = torch.Generator().manual_seed(0)
    targets, pos = (torch.randn(200, 28, generator=g) for _ in range(2))
    vel = 8.0 * torch.randn(200, 28, generator=g)
    limited = targets_within_effort(targets, pos, vel, lead, reach)
    torque = c.kp * (limited - pos) - c.kd * vel
    assert bool((torque.abs() <= c.effort * 1.001).all())
    wanted = c.kp * (targets - pos) - c.kd * vel
    assert_close(torque, torch.maximum(torch.minimum(wanted, c.effort), -c.effort), atol=0.05, rtol=1e-4)
    within = wanted.abs() < c.effort
    assert 0.1 < float(within.float().mean()) < 0.9
    assert_close(limited[within], targets[within], atol=0, rtol=0)


def test_a_target_that_is_not_a_number_stays_so() -> None:
    one = torch.zeros(1, 28)
    limited = targets_within_effort(torch.full_like(one, torch.nan), one, one, *effort_reach(humanoid()))
    assert bool(limited.isnan().all())


def test_a_joint_without_gain_has_no_reach() -> None:
    kp = humanoid().kp.clone()
    kp[5] = 0.0
    lead, reach = effort_reach(replace(humanoid(), kp=kp))
    assert (float(lead[5]), float(reach[5])) == (0.0, 0.0)
    assert bool(torch.isfinite(reach).all())


def test_a_light_limb_turns_to_a_far_target_without_shaking() -> None:
    """A clamped torque of 200 N·m would turn the thigh by 60 rad/s within one physics step, and back in the next."""
    from parc_core.config.env_config import EnvFileConfig
    from parc_core.engines.mujoco.engine import MujocoEngine

    cpu = torch.device("cpu")
    engine = MujocoEngine(humanoid(), PackedTerrain([flat()], cpu), EnvFileConfig(), 1, cpu, 1)
    engine.reset(torch.arange(1), state(1, HIGH))
    targets = torch.zeros(1, 28)
    targets[0, THIGH_TWIST] = 0.6  # 300 N·m, 1.5 times the effort
    speeds, spins = [], []
    for _ in range(20):
        engine.step(targets)
        speeds.append(float(engine.state.dof_vel[0, THIGH_TWIST]))
        spins.append(float(engine.state.root_ang_vel.norm()))
    assert 1.0 < max(speeds) < 8.0
    assert min(speeds) > -0.5
    assert max(spins) < 3.0
    assert abs(float(engine.state.dof_pos[0, THIGH_TWIST]) - 0.6) < 0.05
