"""Mirror images: forward kinematics gives reflected places, and twice is the same motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.motion.skeleton import beyond_range
from parc_core.motion.variants.mirror import Mirror, mirrored_terrain
from parc_core.terrain.heightfield import Heightfield, grid_index
from tests.motion.variants.step_clip import body


@pytest.fixture(scope="module")
def clip() -> MotionClip:
    """Any poses within the joints' ranges, hinges about their own axes."""
    character = body().character
    generator = torch.Generator().manual_seed(3)
    share = torch.rand(20, character.dof_size, generator=generator)
    dofs = 0.6 * (character.dof_lower + share * (character.dof_upper - character.dof_lower))
    return MotionClip(
        root_pos=torch.randn(20, 3, generator=generator).numpy(),
        root_rot=rotations.normalize(torch.randn(20, 4, generator=generator)).numpy(),
        joint_rot=Kinematics(character).dof_to_rot(dofs).numpy(),
        body_contacts=torch.rand(20, 15, generator=generator).numpy(),
        fps=30,
        loop_mode="WRAP",
    )


def test_kinematics_of_the_image_are_the_image_of_the_kinematics(clip):
    mirror = Mirror(body().character)
    pos, rot = body().forward(clip)
    other_pos, other_rot = body().forward(mirror.clip(clip))
    reflected = pos.numpy()[:, mirror.partner] * [1.0, -1.0, 1.0]
    np.testing.assert_allclose(other_pos.numpy(), reflected, atol=2e-6)
    # A point fixed to a body is reflected, too: rotations agree, not only origins.
    point = torch.tensor([0.1, 0.2, 0.3])
    spot = rotations.quat_rotate(rot, point.expand(20, 15, 3))[:, mirror.partner] * torch.tensor(
        [1.0, -1.0, 1.0]
    )
    image = rotations.quat_rotate(other_rot, (point * torch.tensor([1.0, -1.0, 1.0])).expand(20, 15, 3))
    torch.testing.assert_close(image, spot, atol=2e-6, rtol=0)


def test_left_and_right_change_places(clip):
    names = body().character.body_names
    mirror = Mirror(body().character)
    assert names[mirror.partner[names.index("left_foot")]] == "right_foot"
    assert names[mirror.partner[names.index("torso")]] == "torso"
    image = mirror.clip(clip)
    assert (
        image.body_contacts[:, names.index("left_hand")] == clip.body_contacts[:, names.index("right_hand")]
    ).all()
    assert image.loop_mode == "WRAP"


def test_joints_stay_within_their_ranges(clip):
    assert beyond_range(clip.joint_rot, body().skeleton).max() < 1e-4
    assert beyond_range(Mirror(body().character).clip(clip).joint_rot, body().skeleton).max() < 1e-4


def test_twice_is_the_same_motion(clip):
    mirror = Mirror(body().character)
    again = mirror.clip(mirror.clip(clip))
    for name in ("root_pos", "root_rot", "joint_rot", "body_contacts"):
        assert getattr(again, name).tobytes() == getattr(clip, name).tobytes()


def test_terrain_is_reflected():
    rng = np.random.default_rng(0)
    hf = rng.normal(size=(5, 8)).astype(np.float32)
    terrain = Heightfield(hf, np.array([-0.3, 1.1], np.float32), 0.4, np.stack((hf + 1, hf - 1), axis=-1))
    image = mirrored_terrain(terrain)
    points = rng.uniform((-0.5, 0.9), (1.5, 4.1), (50, 2))
    there, here = grid_index(image, points * [1, -1]), grid_index(terrain, points)
    assert (image.hf[tuple(there.T)] == hf[tuple(here.T)]).all()
    assert (image.hf_maxmin[tuple(there.T)] == terrain.hf_maxmin[tuple(here.T)]).all()
    again = mirrored_terrain(image)
    assert (again.hf == hf).all()
    np.testing.assert_allclose(again.min_point, terrain.min_point, atol=1e-6)


def test_a_lopsided_character_has_no_image():
    character = body().character
    offsets = character.local_translation.clone()
    offsets[character.body_id("left_shin"), 2] -= 0.1
    with pytest.raises(DataError, match=r"(left|right)_shin has no counterpart"):
        Mirror(replace(character, local_translation=offsets))
