"""What golden file 08 says of its own making: frames of the arms, frames of dof velocities, the extended terrain."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from parc_core import rotations
from parc_core.motion.formats.container import read_motion_terrain
from tests.golden.test_08_recorded_obs import Recording, recording, worst

__all__ = ["recording"]
NEVER_SEEN = -50.0  # m: cells whose height the recording does not show are NaN, or -100 where it was clamped
CONVENTIONS = "dofvel_convention_mean_abs_err(child,parent,expmapdiff)"
EQUAL = "modified_equals_recording__"


def matrix(tan_norm: Tensor) -> Tensor:
    """(…, 6) tangent and normal -> (…, 3, 3), whose columns are the turned axes."""
    x, z = tan_norm[..., :3], tan_norm[..., 3:]
    return torch.stack((x, torch.cross(z, x, dim=-1), z), -1)


def arms(recording: Recording) -> list[tuple[str, Tensor, Tensor]]:
    """(side, quaternion, matrix) that turn the arms' frames of the recorded character into the file's."""
    found = []
    for side in ("right", "left"):
        quat = recording.tensor(f"arm_Q_{side}")
        columns = [rotations.quat_rotate(quat, axis) for axis in torch.eye(3)]
        found.append((side, quat, torch.stack(columns, -1)))
    return found


def joint(recording: Recording, name: str) -> int:
    return recording.kinematics.character.joint_names.index(name)


def test_the_recorded_characters_arms_have_other_frames(recording: Recording) -> None:
    """With Q from `arm_Q_*`: R = R_raw Qᵀ at the shoulder, Q R_raw Qᵀ at the elbow, nothing else differs."""
    raw, obs = recording.tensor("obs_recorded_raw"), recording.obs
    num_joints, num_steps = len(recording.kinematics.character.joint_names) - 1, len(recording.steps)
    same = torch.ones(obs.shape[1], dtype=torch.bool)
    starts = [recording.sizes["char_obs"].start + recording.slices("char_slices")["joint_rot"].start]
    target = recording.sizes["tar_obs"]
    stride = (target.stop - target.start) // num_steps
    within = recording.slices("tar_slices")["joint_rot"].start
    starts += [target.start + k * stride + within for k in range(num_steps)]
    for start in starts:
        columns = slice(start, start + 6 * num_joints)
        before, after = (matrix(o[:, columns].unflatten(1, (num_joints, 6))) for o in (raw, obs))
        for side, _, turn in arms(recording):
            shoulder, elbow = (joint(recording, f"{side}_{name}") - 1 for name in ("shoulder", "elbow"))
            assert worst(before[:, shoulder] @ turn.T, after[:, shoulder]) < 1e-6
            assert worst(turn @ before[:, elbow] @ turn.T, after[:, elbow]) < 1e-6
            for index in (shoulder, elbow):
                same[start + 6 * index : start + 6 * index + 6] = False
    first = recording.sizes["char_obs"].start + recording.slices("char_slices")["dof_vel"].start
    dof = recording.kinematics.character.joint_dof_idx
    for side, _, turn in arms(recording):
        at = first + int(dof[joint(recording, f"{side}_shoulder")])
        assert worst(raw[:, at : at + 3] @ turn.T, obs[:, at : at + 3]) < 1e-5
        hinge = first + int(dof[joint(recording, f"{side}_elbow")])
        assert worst(raw[:, hinge].abs(), obs[:, hinge].abs()) == 0  # its axis may point the other way
        same[[at, at + 1, at + 2, hinge]] = False
    assert torch.equal(raw[:, same], obs[:, same])


def test_dof_velocities_of_isaac_gym_are_in_the_childs_frame(recording: Recording) -> None:
    """Central differences of the recorded poses, three ways, against the velocities that PhysX had.

    The file's means are reproduced, and the child's frame, which ours have, comes nearest in each joint.
    """
    want = recording.data[CONVENTIONS]
    character = recording.kinematics.character
    velocity = recording.slices("char_slices")["dof_vel"].start + recording.sizes["char_obs"].start
    rot = recording.joint_rot.clone()
    for side, quat, _ in arms(recording):
        index = joint(recording, f"{side}_shoulder") - 1
        rot[:, index] = rotations.quat_mul(rot[:, index], quat.expand_as(rot[:, index]))
    rows = []
    for index, (start, size) in enumerate(zip(character.joint_dof_idx, character.joint_dof_dim)):
        if size == 3:
            first = velocity + int(start)
            recorded = recording.tensor("obs_recorded_raw")[1:-1, first : first + 3]
            rates = central_rates(rot[:, index - 1], float(recording.clip.fps))
            rows.append([float((rate - recorded).abs().mean()) for rate in rates])
    np.testing.assert_allclose(rows, want, atol=1e-5)
    assert (np.array(rows).argmin(1) == 0).all()


def central_rates(rot: Tensor, fps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Angular velocity in the child's frame, in the parent's, and the rotation vector's rate. (n - 2, 3) each."""
    now, later = rot[:-1], rot[1:]
    child = rotations.quat_to_exp_map(rotations.quat_mul(rotations.quat_conj(now), later)) * fps
    parent = rotations.quat_to_exp_map(rotations.quat_mul(later, rotations.quat_conj(now))) * fps
    vector = rotations.quat_to_exp_map(rot)
    return (child[:-1] + child[1:]) / 2, (parent[:-1] + parent[1:]) / 2, (vector[2:] - vector[:-2]) * fps / 2


def test_the_extended_terrain_goes_on_from_the_clips(recording: Recording) -> None:
    """What the recording shows of the clip's own cells has their heights."""
    extended, inner = recording.data["extended_hf"], recording.terrain.hf
    low = -recording.data["extended_origin_index"]
    assert (low >= 0).all()
    part = extended[low[0] : low[0] + inner.shape[0], low[1] : low[1] + inner.shape[1]]
    known = np.isfinite(part) & (part > NEVER_SEEN)
    assert known.sum() > 0.2 * known.size
    largest = float(np.abs(part - inner[: part.shape[0], : part.shape[1]])[known].max())
    assert largest == pytest.approx(float(recording.data["extended_inner_max_diff"]), abs=1e-7)


def test_the_published_clip_is_the_recording(recording: Recording, golden_dir) -> None:
    """`modified_equals_recording__*`: the clip of that name holds the recorded frames, bit for bit."""
    parts = [key[len(EQUAL) :] for key in recording.data.files if key.startswith(EQUAL)]
    files = sorted((golden_dir / "files").glob("*_modified_opt.pkl"))
    if not files:
        pytest.skip(f"{golden_dir}/files holds no *_modified_opt.pkl")
    clips = [read_motion_terrain(file).motion for file in files]
    assert parts
    for part in parts:
        equal = any(
            clip is not None and np.array_equal(getattr(clip, part), recording.data[part]) for clip in clips
        )
        assert equal == bool(recording.data[EQUAL + part]), part
