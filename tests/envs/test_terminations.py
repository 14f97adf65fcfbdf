"""When episodes end, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
import torch

from parc_core.config.env_config import EnvConfig
from parc_core.envs import terminations as ends
from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.errors import ConfigError
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
    got_far = ends.root_far(position, torch.zeros(1, 3), 0.6)
    got_turned = ends.root_turned(yaw_quat(torch.tensor([angle])), yaw_quat(torch.zeros(1)), 1.309)
    assert [int(got_far), int(got_turned)] == [far, turned]


def test_root_angle_goes_the_short_way() -> None:
    q = yaw_quat(torch.tensor([1.0]))
    assert not ends.root_turned(-q, q, 0.01).any()


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


def test_every_reason_has_one_test() -> None:
    """Numbers are places in tensors: without gaps, in any order of the tests."""
    assert sorted(FailReason) == list(range(len(FailReason)))
    assert sorted(each.reason for each in ends.TERMINATIONS) == list(FailReason)[1:]


def test_the_first_of_several_tests_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their numbers, and only of those that the config has."""
    hits = {
        FailReason.FALL: [0, 0, 0],
        FailReason.MOTION_END: [1, 0, 0],
        FailReason.DIVERGED: [1, 1, 0],
        FailReason.ROOT_POSITION: [1, 1, 1],
    }
    tests = [
        ends.Termination(reason, lambda s, hit=hit: torch.tensor(hit).bool(), lambda c: c.track_root)
        if reason is FailReason.ROOT_POSITION
        else ends.Termination(reason, lambda s, hit=hit: torch.tensor(hit).bool())
        for reason, hit in hits.items()
    ]
    monkeypatch.setattr(ends, "TERMINATIONS", tuple(tests))
    for track_root, last in ((True, FailReason.ROOT_POSITION), (False, FailReason.NONE)):
        step = cast(
            ends.StepResult,
            SimpleNamespace(config=EnvConfig(track_root=track_root), motion_times=torch.zeros(3)),
        )
        assert ends.fail_reasons(step).tolist() == [FailReason.MOTION_END, FailReason.DIVERGED, last]


def test_the_limits_change_linearly_with_the_samples() -> None:
    assert ends.limit_scale(EnvConfig(), 10) is None
    config = EnvConfig(termination_scale_start=0.5, termination_scale_end=1.5, termination_anneal_samples=200)
    assert [ends.limit_scale(config, n) for n in (0, 50, 200, 999)] == [0.5, 0.75, 1.5, 1.5]
    back = EnvConfig(termination_scale_start=2.0, termination_anneal_samples=200)
    assert [ends.limit_scale(back, n) for n in (0, 100, 200)] == [2.0, 1.5, 1.0]


@pytest.mark.parametrize("name", ["termination_scale_start", "termination_scale_end"])
def test_limits_that_change_over_no_samples_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"need 'env\.termination_anneal_samples', which is null"):
        EnvConfig(**{name: 0.5})
