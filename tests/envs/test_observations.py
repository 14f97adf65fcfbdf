"""Observation terms, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from parc_core.envs import observations as obs
from parc_core.rotations import yaw_quat
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain


def test_ray_points_run_from_right_to_left_and_back_to_front() -> None:
    points = obs.ray_points(0.05, 3, 3, math.radians(15), 2, 60)
    assert points.shape == (441, 2)
    rays = points.reshape(7, 63, 2)
    assert_close(rays[:, 2], torch.zeros(7, 2))
    assert_close(rays[3, 0], torch.tensor([-0.1, 0.0]))
    assert_close(rays[3, -1], torch.tensor([3.0, 0.0]))
    edge = 3.0 * math.sqrt(0.5)
    assert_close(rays[0, -1], torch.tensor([edge, -edge]))
    assert_close(rays[6, -1], torch.tensor([edge, edge]))


def test_uneven_rays() -> None:
    points = obs.ray_points(0.5, 1, 0, math.pi / 2, 0, 2)
    assert_close(
        points, torch.tensor([[0.0, 0], [0.5, 0], [1.0, 0], [0, 0], [0, 0.5], [0, 1.0]]), atol=1e-6, rtol=0
    )


def test_ray_points_turn_with_the_heading_and_move_with_the_root() -> None:
    points = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    got = obs.ray_points_world(points, torch.tensor([[5.0, 6.0, 7.0]]), yaw_quat(torch.tensor([math.pi / 2])))
    assert_close(got, torch.tensor([[[5.0, 7.0], [3.0, 6.0]]]))


def test_heights_are_those_of_the_nearest_cell_relative_to_the_root() -> None:
    terrain = Heightfield(torch.tensor([[0.0, 0.5], [1.0, -9.0]]).numpy(), torch.zeros(2).numpy(), 0.4)
    packed = PackedTerrain([terrain], torch.device("cpu"))
    # Nearest centres: (0, 0), (0, 1), (1, 0), (1, 1) by clamping.
    points = torch.tensor([[[0.19, 0.0], [0.0, 0.21], [0.41, 0.1], [7.0, 7.0]]])
    heights = packed.heights_at(torch.zeros(1, dtype=torch.long), points)
    got = obs.height_obs(heights, torch.tensor([[0.0, 0.0, 0.9]]), -3.0, 3.0)
    assert_close(got, torch.tensor([[-0.9, -0.4, 0.1, -3.0]]))


def char(**changes: Any) -> torch.Tensor:
    state: dict[str, Any] = {
        "root_pos": torch.tensor([[1.0, 2.0, 0.9]]),
        "root_rot": yaw_quat(torch.tensor([math.pi / 2])),
        "root_vel": torch.tensor([[0.0, 3.0, 0.5]]),
        "root_ang_vel": torch.tensor([[-1.0, 0.0, 2.0]]),
        "joint_rot": torch.tensor([[[0.0, 0.0, 0.0, 1.0]]]),
        "dof_vel": torch.tensor([[0.7]]),
        "key_pos": torch.tensor([[[1.0, 2.4, 0.1]]]),
    }
    return obs.char_obs(**{**state, **changes})


IDENTITY_6 = [1.0, 0, 0, 0, 0, 1]


def test_character_in_its_heading_frame() -> None:
    expected = [*IDENTITY_6, 3, 0, 0.5, 0, 1, 2, *IDENTITY_6, 0.7, 0.4, 0, -0.8]
    assert char()[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_character_in_world_axes_with_height() -> None:
    expected = [0.9, 0, 1, 0, 0, 0, 1, 0, 3, 0.5, -1, 0, 2, *IDENTITY_6, 0.7, 0, 0.4, -0.8]
    got = char(global_obs=True, root_height_obs=True)
    assert got[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_targets_are_seen_from_the_character() -> None:
    got = obs.target_obs(
        torch.tensor([[1.0, 2.0, 0.9]]),
        yaw_quat(torch.tensor([math.pi / 2])),
        torch.tensor([[[1.0, 4.0, 1.0]]]),
        yaw_quat(torch.tensor([[math.pi]])),
        torch.tensor([[[[0.0, 0.0, 0.0, 1.0]]]]),
        torch.tensor([[[[0.0, 4.0, 0.9]]]]),
    )
    # The target is 2 m ahead, its heading 90° to the left: its x axis is the character's y axis.
    expected = [2, 0, 0.1, 0, 1, 0, 0, 0, 1, *IDENTITY_6, 2, 1, 0]
    assert got[0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_contacts() -> None:
    forces = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 2e-5], [-3.0, 0.0, 0.0]]])
    assert obs.contact_obs(forces, 1e-5).tolist() == [[0.0, 1.0, 1.0]]
    assert obs.contact_obs(forces, 1.0).tolist() == [[0.0, 0.0, 1.0]]


def test_only_character_and_targets_are_normalized() -> None:
    assert obs.norm_mask(2, 3, 4).tolist() == [True] * 5 + [False] * 4


def test_sizes_of_the_default_observation() -> None:
    assert obs.split_sizes(num_joints=14, dofs=28, keys=4, steps=6, root_height=False) == (136, 630)
    assert obs.split_sizes(num_joints=14, dofs=28, keys=4, steps=6, root_height=True) == (137, 630)
