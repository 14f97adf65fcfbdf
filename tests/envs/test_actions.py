"""From actions to PD targets, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from parc_core.envs.actions import ActionMap
from tests.envs.scenes import humanoid


def dofs(joint: str) -> slice:
    c = humanoid()
    b = c.joint_names.index(joint)
    return slice(int(c.joint_dof_idx[b]), int(c.joint_dof_idx[b] + c.joint_dof_dim[b]))


@pytest.mark.parametrize(
    ("joint", "largest"), [("abdomen", 90), ("neck", 60), ("right_shoulder", 160), ("left_hip", 140)]
)
def test_a_spherical_joint_reaches_beyond_its_largest_limit(joint: str, largest: float) -> None:
    actions = ActionMap(humanoid(), "absolute", 0.5)
    reach = torch.full((3,), 1.2 * math.radians(largest))
    assert_close(actions.high[dofs(joint)], reach)
    assert_close(actions.low[dofs(joint)], -reach)


@pytest.mark.parametrize(
    ("joint", "lower", "upper"), [("right_elbow", 0, 160), ("left_elbow", -160, 0), ("left_knee", 0, 160)]
)
def test_a_hinge_reaches_a_fifth_of_its_range_further(joint: str, lower: float, upper: float) -> None:
    actions = ActionMap(humanoid(), "absolute", 0.5)
    middle, span = (lower + upper) / 2, upper - lower
    assert float(actions.low[dofs(joint)]) == pytest.approx(math.radians(middle - 0.7 * span), rel=1e-5)
    assert float(actions.high[dofs(joint)]) == pytest.approx(math.radians(middle + 0.7 * span), rel=1e-5)


def reference() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 28, generator=generator), torch.randn(2, 28, generator=generator)


def test_absolute_actions_are_the_targets() -> None:
    actions = ActionMap(humanoid(), "absolute", 0.5)
    wanted = 0.5 * (actions.low + actions.high).expand(2, 28) + 0.01
    assert_close(actions.targets(wanted, *reference()), wanted)


def test_actions_are_clamped_to_the_bounds() -> None:
    actions = ActionMap(humanoid(), "absolute", 0.5)
    assert_close(actions.targets(torch.full((2, 28), 99.0), *reference()), actions.high.expand(2, 28))
    assert_close(actions.targets(torch.full((2, 28), -99.0), *reference()), actions.low.expand(2, 28))


def test_residual_targets_lead_the_reference_by_a_tenth_of_a_second() -> None:
    actions = ActionMap(humanoid(), "residual", 0.5)
    pos, vel = reference()
    assert_close(actions.targets(torch.zeros(2, 28), pos, vel), pos + 0.1 * vel)
    assert_close(actions.targets(torch.full((2, 28), 0.2), pos, vel), pos + 0.1 * vel + 0.2)
    assert_close(actions.targets(torch.full((2, 28), 7.0), pos, vel), pos + 0.1 * vel + 0.5)
    assert_close(actions.high, torch.full((28,), 0.5))


def test_residual_targets_of_a_joint_without_gains_are_finite() -> None:
    character = humanoid()
    loose = replace(character, kp=torch.zeros(28), kd=torch.zeros(28))
    pos, vel = reference()
    assert_close(ActionMap(loose, "residual", 0.5).targets(torch.zeros(2, 28), pos, vel), pos)
