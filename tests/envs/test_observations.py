"""Observation terms, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from parc_core.config.env_config import EnvConfig
from parc_core.envs import observations as obs
from parc_core.envs.observation import ObservationLayout, Sizes
from parc_core.envs.rewards import Pose
from parc_core.rotations import yaw_quat
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain
from tests.envs.observed import char_and_targets, layout_of, observed


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


POSE = Pose(
    root_pos=torch.tensor([[1.0, 2.0, 0.9]]),
    root_rot=yaw_quat(torch.tensor([math.pi / 2])),
    root_vel=torch.tensor([[0.0, 3.0, 0.5]]),
    root_ang_vel=torch.tensor([[-1.0, 0.0, 2.0]]),
    joint_rot=torch.tensor([[[0.0, 0.0, 0.0, 1.0]]]),
    dof_vel=torch.tensor([[0.7]]),
    key_pos=torch.tensor([[[1.0, 2.4, 0.1]]]),
)
TARGETS = obs.Targets(
    root_pos=torch.tensor([[[1.0, 4.0, 1.0]]]),
    root_rot=yaw_quat(torch.tensor([[math.pi]])),
    joint_rot=torch.tensor([[[[0.0, 0.0, 0.0, 1.0]]]]),
    key_pos=torch.tensor([[[[0.0, 4.0, 0.9]]]]),
    contacts=torch.tensor([[[0.25, 1.0]]]),
)


def char(**settings: Any) -> torch.Tensor:
    return char_and_targets(observed(POSE, TARGETS, **settings))[0]


IDENTITY_6 = [1.0, 0, 0, 0, 0, 1]


def test_character_in_its_heading_frame() -> None:
    expected = [*IDENTITY_6, 3, 0, 0.5, 0, 1, 2, *IDENTITY_6, 0.7, 0.4, 0, -0.8]
    assert char()[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_character_in_world_axes_with_height() -> None:
    expected = [0.9, 0, 1, 0, 0, 0, 1, 0, 3, 0.5, -1, 0, 2, *IDENTITY_6, 0.7, 0, 0.4, -0.8]
    got = char(global_obs=True, root_height_obs=True)
    assert got[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_targets_are_seen_from_the_character() -> None:
    got = char_and_targets(observed(POSE, TARGETS))[1]
    # The target is 2 m ahead, its heading 90° to the left: its x axis is the character's y axis.
    expected = [2, 0, 0.1, 0, 1, 0, 0, 0, 1, *IDENTITY_6, 2, 1, 0]
    assert got[0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_contacts() -> None:
    forces = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 2e-5], [-3.0, 0.0, 0.0]]])
    assert obs.contact_obs(forces, 1e-5).tolist() == [[0.0, 1.0, 1.0]]
    assert obs.contact_obs(forces, 1.0).tolist() == [[0.0, 0.0, 1.0]]


def test_only_character_and_targets_are_normalized() -> None:
    layout = layout_of(observed(POSE, TARGETS))
    # 22 numbers of the character, 18 of the target, 2 contacts wanted, 2 there, 441 heights.
    assert layout.norm_mask.tolist() == [True] * (22 + 18) + [False] * (4 + 441)
    assert layout.height_mask.tolist() == [False] * (22 + 18 + 4) + [True] * 441


SIZES = Sizes(bodies=15, dofs=28, keys=4, steps=6, points=441)


def test_sizes_of_the_default_observation() -> None:
    layout = ObservationLayout(EnvConfig(), SIZES)
    assert layout.dim == 1312
    assert {name: (place.start, place.stop) for name, place in layout.slices.items()} == {
        "root_rot": (0, 6),
        "root_vel": (6, 9),
        "root_ang_vel": (9, 12),
        "joint_rot": (12, 96),
        "dof_vel": (96, 124),
        "key_pos": (124, 136),
        "targets": (136, 766),
        "target_contacts": (766, 856),
        "contacts": (856, 871),
        "heights": (871, 1312),
    }


def test_segments_that_the_config_has_not_take_no_place() -> None:
    layout = ObservationLayout(EnvConfig(root_height_obs=True, use_contact_info=False), SIZES)
    assert layout.slices["root_height"] == slice(0, 1)
    assert layout.slices["root_rot"] == slice(1, 7)
    assert "contacts" not in layout.slices
    assert layout.dim == 1312 + 1 - 6 * 15 - 15
    assert int(layout.norm_mask.sum()) == 137 + 630


def test_the_vector_has_every_segment_at_its_place() -> None:
    o = observed(POSE, TARGETS, root_height_obs=True)
    layout = layout_of(o)
    vector = layout.vector(o)
    for segment in layout.segments:
        assert torch.equal(vector[:, layout.slices[segment.name]], segment.values(o)), segment.name
