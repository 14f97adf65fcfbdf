"""When episodes end, by hand."""

from __future__ import annotations

import pytest
import torch

from parc_core.envs import terminations as ends
from parc_core.envs.terminations import DoneFlag
from parc_core.rotations import yaw_quat

LIMITS = torch.tensor([0.7, 1.0])


def bodies(*positions: tuple[float, float, float]) -> torch.Tensor:
    """(1, J, 3)."""
    return torch.tensor([positions])


def test_flags_are_parcs_numbers() -> None:
    assert (DoneFlag.NULL, DoneFlag.FAIL, DoneFlag.SUCC, DoneFlag.TIME) == (0, 1, 2, 3)


@pytest.mark.parametrize(("off", "failed"), [(0.69, False), (0.71, True)])
def test_body_distance(off: float, failed: bool) -> None:
    target = bodies((0, 0, 1), (0, 0, 2), (0, 1, 1))
    char = bodies((0, 0, 1), (0, off, 2), (0, 1, 1))
    assert ends.pose_failed(char, target, LIMITS).tolist() == [failed]


def test_each_body_has_its_own_limit() -> None:
    target = bodies((0, 0, 1), (0, 0, 2), (0, 1, 1))
    char = bodies((0, 0, 1), (0, 0, 2), (0, 1.9, 1))
    assert not ends.pose_failed(char, target, LIMITS).any()


def test_body_distance_is_relative_to_the_root() -> None:
    target = bodies((0, 0, 1), (0, 0, 2), (0, 1, 1))
    assert not ends.pose_failed(target + 5.0, target, LIMITS).any()


@pytest.mark.parametrize(
    ("distance", "angle", "far", "turned"), [(0.59, 1.30, 0, 0), (0.61, 1.30, 1, 0), (0, 1.32, 0, 1)]
)
def test_root_limits(distance: float, angle: float, far: int, turned: int) -> None:
    position = torch.tensor([[0.0, 0.6 * distance, 0.8 * distance]])
    got = ends.root_failed(
        position, yaw_quat(torch.tensor([angle])), torch.zeros(1, 3), yaw_quat(torch.zeros(1)), 0.6, 1.309
    )
    assert [int(g) for g in got] == [far, turned]


def test_root_angle_goes_the_short_way() -> None:
    q = yaw_quat(torch.tensor([1.0]))
    _, turned = ends.root_failed(torch.zeros(1, 3), -q, torch.zeros(1, 3), q, 0.6, 0.01)
    assert not turned.any()


FOOT, HAND, HEAD = 0, 1, 2


@pytest.mark.parametrize(
    ("touching", "low", "fell"),
    [
        ((), (HAND,), False),
        ((HAND,), (), False),
        ((HAND,), (HAND,), True),
        ((HEAD,), (HAND,), True),
        ((FOOT,), (HAND,), False),
        ((HAND,), (FOOT,), False),
    ],
)
def test_fall(touching: tuple[int, ...], low: tuple[int, ...], fell: bool) -> None:
    """A body that may not touch touches, and one (perhaps another) that may not is low."""
    forces, position = torch.zeros(1, 3, 3), torch.ones(1, 3, 3)
    for body in touching:
        forces[0, body, 1] = -0.2
    for body in low:
        position[0, body, 2] = 0.4
    may_touch = torch.tensor([True, False, False])
    assert ends.fallen(forces, position, torch.full((1, 3), 0.5), may_touch).tolist() == [fell]


def test_fall_needs_a_force_component_above_a_tenth_of_a_newton() -> None:
    forces, position = torch.full((1, 3, 3), 0.09), torch.zeros(1, 3, 3)
    assert not ends.fallen(forces, position, torch.ones(1, 3), torch.zeros(3, dtype=torch.bool)).any()


def test_done_flags() -> None:
    time = torch.tensor([0.0, 1 / 30, 9.9, 10.0, 10.0])
    failed = torch.tensor([True, True, False, False, True])
    # Nothing fails before the first step; FAIL wins over TIME.
    assert ends.done_flags(time, 10.0, failed).tolist() == [0, 1, 0, 3, 1]
    assert ends.done_flags(time, 10.0, None).tolist() == [0, 0, 0, 3, 3]
