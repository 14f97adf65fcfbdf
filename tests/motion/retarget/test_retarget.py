"""Retargeting against poses with known answers, the character's own motions, and real takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parc_core.config.skeleton_config import NOTHING_GIVEN, SkeletonConfig
from parc_core.errors import DataError
from parc_core.motion.formats.bvh import read_bvh
from parc_core.motion.retarget.axes import in_metres
from parc_core.motion.retarget.mapping import map_joints
from parc_core.motion.retarget.result import RetargetedMotion, RetargetOptions
from parc_core.motion.retarget.retarget import retarget
from parc_core.motion.retarget.source import SourceMotion, resampled
from parc_core.motion.skeleton import Skeleton, body_poses, multiply, rotate
from parc_core.motion.synthetic import make_motion
from parc_core.terrain.heightfield import Heightfield
from tests.motion.retarget.small_bvh import CHARACTER, bvh_text

SKELETON = Skeleton.of(CHARACTER)
N = 40
WAVE = np.sin(
    np.pi * np.clip((np.arange(N) - 8) / 23, 0.0, 1.0)
)  # lifted at once: slow feet near the ground stand
ARM_DOWN = {("left_upper_arm", "x"): np.full(N, -1.3), ("right_upper_arm", "x"): np.full(N, 1.3)}
# Bent and back again, the feet level where they are lifted, and no pose out of its range.
POSES = {
    ("left_thigh", "y"): -0.9 * WAVE,
    ("left_shin", "y"): 1.3 * WAVE,
    ("left_foot", "y"): -0.4 * WAVE,
    ("torso", "z"): 0.3 * WAVE,
    ("head", "y"): 0.25 * WAVE,
    ("right_lower_arm", "z"): 1.2 * WAVE,
    ("left_lower_arm", "z"): -0.8 * WAVE,
    **ARM_DOWN,
}


def retargeted(text: str, given: SkeletonConfig = NOTHING_GIVEN, **options: float) -> RetargetedMotion:
    source, mapping = in_metres(read_bvh(text.encode(), "a.bvh"), "a.bvh", given)
    return retarget(source, mapping, CHARACTER, RetargetOptions(**options))  # type: ignore[arg-type]


def vector(result: RetargetedMotion, body: str) -> np.ndarray:
    """(n, 3) rad."""
    q = result.clip.joint_rot[:, CHARACTER.body_id(body) - 1].astype(np.float64)
    q = np.where(q[:, 3:] < 0, -q, q)
    size = np.linalg.norm(q[:, :3], axis=-1, keepdims=True)
    return q[:, :3] / np.maximum(size, 1e-12) * 2 * np.arctan2(size, q[:, 3:])


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 2 * np.arccos(np.clip(np.abs((a * b).sum(axis=-1)), 0.0, 1.0))


@pytest.mark.parametrize(
    ("order", "fps", "scale"),
    [
        (("Zrotation", "Xrotation", "Yrotation"), 30.0, 100.0),
        (("Yrotation", "Zrotation", "Xrotation"), 30.0, 1.0),
        (("Xrotation", "Yrotation", "Zrotation"), 30.0, 1 / 0.0254),
    ],
)
def test_poses_with_the_characters_own_bones_come_out_as_they_went_in(
    order: tuple[str, ...], fps: float, scale: float
) -> None:
    result = retargeted(bvh_text(POSES, N, fps, order=order, scale=scale))
    assert result.scale == pytest.approx(1.0, abs=1e-4)
    assert result.limit_share == 0.0
    for (body, axis), angles in POSES.items():
        got = vector(result, body)
        assert np.abs(got[:, "xyz".index(axis)] - angles).max() < 0.02, body
        others = np.delete(got, "xyz".index(axis), axis=1)
        assert np.abs(others).max() < 0.02, body
    right = CHARACTER.body_id("right_foot")
    left = CHARACTER.body_id("left_foot")
    contacts = result.clip.body_contacts
    assert contacts is not None and contacts[:, right].all()
    assert contacts[0, left] and not contacts[N // 2, left] and contacts[-1, left]
    pos, _ = body_poses(result.clip, SKELETON)
    assert np.abs(pos[:, right, 2] - 0.05).max() < 2e-3  # the sole on the ground
    assert np.abs(pos[:, right, :2] - pos[0, right, :2]).max() < 2e-3


def test_facing_side_and_up_axis() -> None:
    """The file faces z with x to the left: standing at the same place, the character looks along −y, left is x."""
    result = retargeted(bvh_text(POSES, N))
    pos, rot = body_poses(result.clip, SKELETON)
    assert np.allclose(rotate(rot[:, 0], np.array([1.0, 0.0, 0.0])), [0, -1, 0], atol=0.02)
    left, right = (
        pos[:, CHARACTER.body_id(f"{side}_shoulder".replace("shoulder", "upper_arm"))]
        for side in ("left", "right")
    )
    assert (left - right)[0, 0] > 0.3
    assert np.allclose(result.clip.root_pos[0, :2], 0.0, atol=1e-6)
    turned = retargeted(bvh_text({**POSES, ("pelvis", "z"): np.full(N, np.pi / 2)}, N))
    _, rot = body_poses(turned.clip, SKELETON)
    assert np.allclose(rotate(rot[:, 0], np.array([1.0, 0.0, 0.0])), [1, 0, 0], atol=0.02)


def test_frame_rates_become_thirty() -> None:
    dense = np.sin(np.pi * np.clip((np.arange(4 * N - 3) / 4 - 8) / 23, 0.0, 1.0))
    angles = {
        key: (np.full(len(dense), value[0]) if np.ptp(value) == 0 else value.max() * dense)
        for key, value in POSES.items()
    }
    angles[("left_thigh", "y")] = -0.9 * dense
    angles[("left_foot", "y")] = -0.4 * dense
    angles[("left_lower_arm", "z")] = -0.8 * dense
    fast = retargeted(bvh_text(angles, len(dense), fps=120.0))
    slow = retargeted(bvh_text(POSES, N))
    assert fast.clip.fps == 30 and fast.clip.num_frames == N
    assert np.abs(fast.clip.root_pos - slow.clip.root_pos).max() < 1e-3
    assert angle_between(fast.clip.joint_rot, slow.clip.joint_rot).max() < 0.01


def test_other_sizes_are_scaled_by_leg_length() -> None:
    place = np.stack([np.linspace(0, 2, N), np.zeros(N), np.full(N, 0.9)], axis=-1)
    whole = retargeted(bvh_text(POSES, N, place=place))
    small = retargeted(bvh_text(POSES, N, place=place, scale=80.0))
    assert small.scale == pytest.approx(1 / 0.8, abs=1e-3)
    assert np.abs(small.clip.root_pos - whole.clip.root_pos).max() < 2e-3


def test_angles_beyond_their_range_are_brought_into_it_and_counted() -> None:
    result = retargeted(bvh_text({**POSES, ("torso", "z"): 2.0 * WAVE}, N))
    torso = vector(result, "torso")[:, 2]
    assert torso.max() == pytest.approx(np.deg2rad(70.0), abs=1e-3)
    assert result.limit_rad == pytest.approx(2.0 * WAVE.max() - np.deg2rad(70.0), abs=0.02)
    assert 0.02 < result.limit_share < 0.2


def own_motion(kind: str) -> SourceMotion:
    """A synthetic motion as a source of the character's own bodies."""
    motion = make_motion(kind, 0, CHARACTER).motion
    assert motion is not None
    pos, rot = body_poses(motion, SKELETON)
    zero = replace(
        motion,
        root_pos=np.array([[0.0, 0.0, 1.0]], np.float32),
        root_rot=np.array([[0, 0, 0, 1]], np.float32),
        joint_rot=np.tile(np.array([0, 0, 0, 1], np.float32), (1, 14, 1)),
    )
    rest = body_poses(zero, SKELETON)[0][0]
    return SourceMotion(tuple(CHARACTER.body_names), np.array(SKELETON.parents), pos, rot, rest, 30.0)


def test_the_characters_own_walk_round_trips() -> None:
    source = own_motion("walk")
    mapping = map_joints(source.names, source.parents, "own")
    result = retarget(source, mapping, CHARACTER)
    pos, rot = body_poses(result.clip, SKELETON)
    moved = pos - (source.positions + np.array(result.shift))
    assert np.linalg.norm(moved, axis=-1).max() < 0.05 and np.linalg.norm(moved, axis=-1).mean() < 0.01
    assert source.rotations is not None
    assert angle_between(rot, source.rotations).mean() < 0.03


def test_positions_alone_do() -> None:
    source = replace(own_motion("walk"), rotations=None, rest_positions=None)
    mapping = map_joints(source.names, source.parents, "own")
    result = retarget(source, mapping, CHARACTER)
    pos, _ = body_poses(result.clip, SKELETON)
    error = np.linalg.norm(pos - (source.positions + np.array(result.shift)), axis=-1)
    assert error.mean() < 0.03 and error.max() < 0.12


def test_terrain_is_scaled_and_stood_on() -> None:
    """On a block of half a metre the feet stand on the block."""
    source, mapping = in_metres(read_bvh(bvh_text(POSES, N, scale=80.0).encode(), "a"), "a")
    up = np.array([0.0, 0.0, 0.4])
    source = replace(source, positions=source.positions + up)
    block = Heightfield(np.full((6, 6), 0.4, np.float32), np.array([-1.0, -1.0], np.float32), 0.4)
    result = retarget(source, mapping, CHARACTER, terrain=block)
    assert result.terrain is not None
    assert result.terrain.dx == pytest.approx(0.5, abs=1e-3) and result.terrain.hf[0, 0] == pytest.approx(
        0.5, abs=1e-3
    )
    pos, _ = body_poses(result.clip, SKELETON)
    assert np.abs(pos[:, CHARACTER.body_id("right_foot"), 2] - 0.55).max() < 5e-3
    assert result.shift[:2] == (0.0, 0.0)


def test_feet_that_slide_in_the_source_keep_their_place() -> None:
    place = np.stack([0.05 * WAVE, np.zeros(N), np.full(N, 0.88)], axis=-1)
    result = retargeted(bvh_text(ARM_DOWN, N, place=place))
    pos, _ = body_poses(result.clip, SKELETON)
    for side in ("left", "right"):
        foot = pos[:, CHARACTER.body_id(f"{side}_foot")]
        assert np.linalg.norm(foot[:, :2] - foot[0, :2], axis=-1).max() < 5e-3
        assert np.abs(foot[:, 2] - 0.05).max() < 5e-3


def test_swapped_sides_are_told() -> None:
    text = bvh_text(POSES, N)
    source, mapping = in_metres(read_bvh(text.encode(), "a.bvh"), "a.bvh")
    mirrored = replace(
        source, positions=source.positions * np.array([1.0, -1.0, 1.0]), rotations=None, rest_positions=None
    )
    toes = {f"{side}_toe": source.names.index(f"{side.capitalize()}Foot_end") for side in ("left", "right")}
    mapping = replace(mapping, roles={**mapping.roles, **toes})
    retarget(replace(source, rotations=None, rest_positions=None), mapping, CHARACTER)
    with pytest.raises(DataError, match="the toes point backwards"):
        retarget(mirrored, mapping, CHARACTER)


def test_a_first_frame_in_rest_pose_is_left_out() -> None:
    down = {key: np.concatenate([[0.0], angles]) for key, angles in ARM_DOWN.items()}
    result = retargeted(bvh_text(down, N + 1))
    assert result.clip.num_frames == N
    assert np.allclose(vector(result, "left_upper_arm")[0], [-1.3, 0, 0], atol=0.02)


def test_resampling_is_linear_and_slerp() -> None:
    source = own_motion("walk")
    fine = resampled(source, 60)
    assert fine.num_frames == 2 * source.num_frames - 1
    assert np.allclose(fine.positions[1::2], 0.5 * (source.positions[:-1] + source.positions[1:]))
    assert source.rotations is not None and fine.rotations is not None
    half = angle_between(fine.rotations[1::2], source.rotations[:-1])
    assert np.allclose(2 * half, angle_between(source.rotations[1:], source.rotations[:-1]), atol=2e-3)
    assert np.allclose(multiply(fine.rotations, fine.rotations * [-1, -1, -1, 1])[..., 3], 1.0)


def test_sources_that_cannot_be_are_refused() -> None:
    source = own_motion("walk")
    mapping = map_joints(source.names, source.parents, "own")
    with pytest.raises(DataError, match="positions has shape"):
        retarget(replace(source, positions=source.positions[:, :5]), mapping, CHARACTER)
    with pytest.raises(DataError, match="not finite"):
        retarget(replace(source, positions=source.positions * np.nan), mapping, CHARACTER)
    with pytest.raises(DataError, match=r"legs are 83\.1 m long"):
        retarget(replace(source, positions=source.positions * 100), mapping, CHARACTER)
