"""Task settings of an env file, checked against the character."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from parc_core.config.env_config import EnvConfig
from parc_core.envs.task import TaskTensors
from parc_core.errors import ConfigError
from tests.envs.scenes import humanoid


def task(**settings: Any) -> TaskTensors:
    return TaskTensors(EnvConfig(**settings), humanoid(), torch.device("cpu"))


def test_weights_of_the_default() -> None:
    t = task()
    assert float(t.reward_weights.sum()) == pytest.approx(1.0)
    assert_close(t.reward_weights, torch.tensor([0.5, 0.1, 0.15, 0.1, 0.15]))
    assert (t.reward_low, t.reward_high) == (-5.0, 6.0)
    # Three dofs carry the torso's weight, one the elbow's, none the hand's.
    assert_close(t.dof_weights[:3], torch.ones(3))
    assert float(t.dof_weights[9]) == pytest.approx(0.4)
    assert t.dof_weights.shape == (28,)


def test_reward_weights_are_normalized() -> None:
    t = task(pose_w=2.0, vel_w=1.0, root_pos_w=1.0, root_vel_w=0.0, key_pos_w=0.0)
    assert_close(t.reward_weights, torch.tensor([0.5, 0.25, 0.25, 0.0, 0.0]))


def test_rates_are_scales_times_exponent() -> None:
    assert_close(task().reward_rates, torch.tensor([0.25, 0.01, 5.0, 1.0, 10.0]))
    rates = task(vel_exponent=3.0, key_pos_exponent=0.5).reward_rates
    assert_close(rates, torch.tensor([0.25, 0.03, 5.0, 1.0, 5.0]))


def test_reward_bounds_without_contacts() -> None:
    t = task(use_contact_info=False)
    assert (t.reward_low, t.reward_high) == (0.0, 1.0)


def test_per_body_numbers_by_name_work_for_any_order_of_bodies() -> None:
    names = humanoid().body_names
    t = task(contact_weights={name: float(i) for i, name in reversed(list(enumerate(names)))})
    assert_close(t.contact_weights, torch.arange(15.0))


def test_another_order_of_bodies_keeps_numbers_by_name() -> None:
    c = humanoid()
    renamed = replace(c, body_names=[c.body_names[0], *reversed(c.body_names[1:])])
    weights = {name: float(i) for i, name in enumerate(c.body_names)}
    t = TaskTensors(EnvConfig(contact_weights=weights), renamed, torch.device("cpu"))
    assert t.contact_weights.tolist() == [0.0, *range(14, 0, -1)]


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"joint_err_w": [1.0] * 13},
        r"env\.joint_err_w has 13 numbers, but the character needs 14: torso, head",
    ),
    ({"contact_weights": [1.0] * 14}, r"env\.contact_weights has 14 numbers, but the character needs 15"),
    ({"pose_termination_dist": []}, r"env\.pose_termination_dist has 0 numbers"),
    ({"joint_err_w": {"torso": 1.0}}, r"env\.joint_err_w: .* is missing or no body of the character"),
    ({"key_bodies": ["right_hnd"]}, r"env\.key_bodies: .*'right_hnd'; did you mean 'right_hand'\?"),
    ({"contact_bodies": ["tail"]}, r"env\.contact_bodies: .*'tail'; its bodies are pelvis"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_what_does_not_fit_the_character_is_said_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        task(**settings)
    assert "\n" not in str(caught.value)
