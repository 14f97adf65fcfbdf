"""Engine `mujoco_warp` with `mujoco` as oracle: float32 against float64 from the same state with the same targets.

Runs on Warp's CPU device, and on the GPU where there is one. The first test of a fresh machine compiles the kernels
(20 s on the CPU, minutes for the GPU).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed (pip install 'parc-tracker[gpu]')")

from parc_core.engines.engine import ResetState
from parc_core.terrain.heightfield import Heightfield
from tests.engines.mujoco_warp.warp_scenes import (
    AFTER_BLOWS,
    CLOSE,
    compare,
    oracle,
    reset,
    step,
    warp_engine,
)
from tests.engines.scenes import FEET, GRAVITY, LEG, MASS, flat, random_state, state, stepped

pytestmark = pytest.mark.timeout(900)


def standing() -> tuple[ResetState, Tensor, list[Heightfield]]:
    """On flat ground of two heights, feet already in the ground or above it."""
    put = state(4, terrain_ids=torch.tensor([0, 1, 0, 1]))
    put.root_pos[:, 2] = torch.tensor([LEG, 1.3 + LEG, LEG - 0.004, 1.3 + LEG + 0.005])
    return put, torch.zeros(4, 28), [flat(), flat(1.3)]


def on_stairs() -> tuple[ResetState, Tensor, list[Heightfield]]:
    """Each foot on a step of its own, well inside the step's cell: the left thigh lifts its foot onto the upper one."""
    hf = np.zeros((9, 9), np.float32)
    hf[:, 5:] = 0.05
    # The cells' border runs between the feet, along x; the left foot stands at y > 0.
    terrain = Heightfield(hf, np.array([-1.6, -1.8], np.float32), 0.4)
    put = state(4, LEG + 0.002)
    put.root_pos[:, 0] = torch.tensor([0.0, 0.02, -0.04, 0.4])
    hip, knee, ankle = 21 + 1, 24, 25 + 1
    put.dof_pos[:, hip], put.dof_pos[:, knee], put.dof_pos[:, ankle] = -0.35, 0.7, -0.35
    return put, put.dof_pos.clone(), [terrain]


def in_the_air() -> tuple[ResetState, Tensor, list[Heightfield]]:
    """Random poses and speeds; targets beyond the limits of joints."""
    put = random_state(8)
    return put, put.dof_pos + 0.3 * torch.randn(8, 28, generator=torch.Generator().manual_seed(3)), [flat()]


def against_itself() -> tuple[ResetState, Tensor, list[Heightfield]]:
    """In the air, limbs driven into each other and into the trunk."""
    put = random_state(8, seed=1)
    return put, put.dof_pos + torch.randn(8, 28, generator=torch.Generator().manual_seed(4)), [flat()]


@pytest.mark.parametrize("scene", [standing, on_stairs, in_the_air, against_itself])
def test_agrees_with_the_cpu_engine(scene: Any, device: torch.device) -> None:
    put, targets, terrains = scene()
    n = len(targets)
    engine, reference = warp_engine(device, n, *terrains), oracle(n, *terrains)
    reset(engine, put)
    reference.reset(torch.arange(n), put)
    compare(engine.state, reference.state, dict.fromkeys(CLOSE, 2e-6) | {"body_pos": 1e-5}, "after the reset")
    calm = scene in (standing, on_stairs)
    touched = torch.zeros(15, dtype=torch.bool)
    for k in range(1, 11):
        step(engine, targets)
        reference.step(targets)
        if k in (1, 10):
            tolerance = AFTER_BLOWS if k == 10 and not calm else CLOSE
            compare(engine.state, reference.state, tolerance, f"step {k}")
        touched |= (reference.state.contact_forces.norm(dim=-1) > 1.0).any(0)
    assert touched[FEET].all() if calm else touched.sum() >= 2
    assert not any(engine.counters().values())


def test_agrees_roughly_on_the_borders_of_columns(device: torch.device) -> None:
    """Where a foot lies across columns several directions out of them are equally near, and float32 may take another
    one than float64: afterwards the two runs differ as two real ones would."""
    engine, reference = warp_engine(device, 4, stepped()), oracle(4, stepped())
    put = state(4)
    put.root_pos[:, :2] = torch.tensor([[0.15, 0.0], [0.22, 0.1], [0.3, 0.3], [0.35, -0.3]])
    put.root_pos[:, 2] = 0.6 + LEG + 0.01
    reset(engine, put)
    reference.reset(torch.arange(4), put)
    for _ in range(10):
        step(engine)
        reference.step(torch.zeros(4, 28))
    assert_close(engine.state.root_pos.cpu(), reference.state.root_pos, atol=0.03, rtol=0)
    assert_close(engine.state.body_pos.cpu(), reference.state.body_pos, atol=0.1, rtol=0)


def test_feet_carry_the_weight(device: torch.device) -> None:
    engine = warp_engine(device, 2, flat(0.0), flat(-2.0))
    put = state(2, terrain_ids=torch.tensor([1, 0]))
    put.root_pos[:, 2] = torch.tensor([LEG - 2.0, LEG])
    reset(engine, put)
    step(engine, steps=12)
    forces = torch.zeros(2, 15, 3, device=device)
    for _ in range(6):
        step(engine)
        forces += engine.state.contact_forces / 6
    assert forces[:, FEET, 2].sum(1).tolist() == pytest.approx([MASS * GRAVITY] * 2, rel=0.02)
    others = [b for b in range(15) if b not in FEET]
    assert not forces[:, others].any()


def test_forces_between_own_bodies_cancel(device: torch.device) -> None:
    put, targets, terrains = against_itself()
    engine = warp_engine(device, 8, *terrains)
    reset(engine, put)
    largest = 0.0
    for _ in range(5):
        step(engine, targets)
        largest = max(largest, float(engine.state.contact_forces.norm(dim=-1).max()))
        assert_close(engine.state.contact_forces.sum(1), torch.zeros(8, 3, device=device), atol=0.1, rtol=0)
    assert largest > 100.0
