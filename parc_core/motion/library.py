"""All reference motions on one device: frames of all clips end to end, sampled without a loop over motions.

The time of a motion becomes a phase: clip(t / length, 0, 1) for CLAMP, the fractional part for WRAP, whose
root moves on by the clip's xy displacement with every loop. Between two frames positions and contacts are
linear, rotations slerp; velocities are those of the lower frame. Agreement with the reference is tested
against golden file 02_motion_lib.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.errors import DataError
from parc_core.motion.dataset.dataset_arrays import DatasetArrays

_CHUNK_FRAMES = 1 << 17  # bounds the working memory of the velocities (millions of frames in a large dataset)


@dataclass(frozen=True)
class MotionFrame:
    """Reference state of N characters at their times."""

    root_pos: Tensor
    """(N, 3) m, in the motion's own frame."""
    root_rot: Tensor
    """(N, 4) xyzw."""
    root_vel: Tensor
    """(N, 3) m/s."""
    root_ang_vel: Tensor
    """(N, 3) rad/s, world frame."""
    joint_rot: Tensor
    """(N, J-1, 4) parent to child."""
    dof_pos: Tensor
    """(N, D) rad."""
    dof_vel: Tensor
    """(N, D) rad/s, child frame."""
    contacts: Tensor
    """(N, J) in [0, 1]."""


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """values[index] for rows, but several times as fast on the CPU. (F, ...), (*) -> (*, ...)."""
    return values.index_select(0, index.flatten()).reshape(index.shape + values.shape[1:])


class MotionLibrary:
    """M motions with F frames in all, as tensors on one device.

    Attributes:
        names: M display names, unique.
        lengths: (M,) s, (n−1)/fps.
        num_frames: (M,) long.
        fps: (M,) frames per second.
        start_idx: (M,) long, place of a motion's first frame among all frames.
        loop_wrap: (M,) bool, True for WRAP.
        loop_offset: (M, 3) m, displacement of the root over one loop; z is 0.
        weights: (M,), sum 1.
        frame_root_pos, frame_root_rot, frame_joint_rot, frame_contacts: (F, 3), (F, 4), (F, J-1, 4), (F, J).
        frame_root_vel, frame_root_ang_vel, frame_dof_vel: (F, 3) m/s, (F, 3) rad/s, (F, D) rad/s; of frame i
            to i+1, the last of a clip as the one before.
    """

    def __init__(
        self,
        arrays: DatasetArrays,
        weights: Sequence[float],
        names: Sequence[str],
        kinematics: Kinematics,
        device: Optional[Union[torch.device, str]] = None,
    ) -> None:
        """Puts the frames on the device and computes their velocities.

        Args:
            arrays: frames of M motions of the kinematics' character, from `load_dataset`.
            weights: M sampling weights, not negative, any sum.
            names: M unique names, said in errors.
            kinematics: of the character, on the library's device.
            device: default: the kinematics' device.

        Raises:
            DataError: weights that are negative, not finite, all zero, or not as many as the motions.
        """
        self.device = torch.device(device) if device is not None else kinematics.device
        self.kinematics = kinematics
        self.names = list(names)
        self.num_motions = len(self.names)
        self.weights = normalized_weights(weights, names).to(self.device)
        self._store_frames(arrays)
        self._compute_velocities()

    def _store_frames(self, arrays: DatasetArrays) -> None:
        def tensor(name: str) -> Tensor:
            return torch.from_numpy(getattr(arrays, name)).to(self.device)

        self.num_frames = tensor("num_frames")
        self.start_idx = torch.cumsum(self.num_frames, 0) - self.num_frames
        self.fps = tensor("fps")
        self.lengths = (self.num_frames - 1) / self.fps
        self.loop_wrap = tensor("loop_wrap")
        self.frame_root_pos = tensor("root_pos")
        self.frame_root_rot = tensor("root_rot")
        self.frame_joint_rot = tensor("joint_rot")
        self.frame_contacts = tensor("contacts")
        last = self.start_idx + self.num_frames - 1
        self.loop_offset = self.frame_root_pos[last] - self.frame_root_pos[self.start_idx]
        self.loop_offset[:, 2] = 0.0

    def _compute_velocities(self) -> None:
        """Of each frame to its next one; a clip's last frame takes the pair before it."""
        total = self.frame_root_pos.shape[0]
        lower = torch.arange(total, device=self.device)
        lower[self.start_idx + self.num_frames - 1] -= 1
        fps = torch.repeat_interleave(self.fps, self.num_frames)[:, None]
        chunks = [self._velocities(part, fps[part]) for part in lower.split(_CHUNK_FRAMES)]
        self.frame_root_vel = torch.cat([c[0] for c in chunks])
        self.frame_root_ang_vel = torch.cat([c[1] for c in chunks])
        self.frame_dof_vel = torch.cat([c[2] for c in chunks])

    def _velocities(self, lower: Tensor, fps: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        upper = lower + 1
        root_vel = fps * (self.frame_root_pos[upper] - self.frame_root_pos[lower])
        turn = rotations.quat_mul(self.frame_root_rot[upper], rotations.quat_conj(self.frame_root_rot[lower]))
        ang_vel = fps * rotations.quat_to_exp_map(turn)
        joint_rot = self.frame_joint_rot
        return root_vel, ang_vel, self.kinematics.dof_velocity(joint_rot[lower], joint_rot[upper], 1.0 / fps)

    def phase(self, ids: Tensor, times: Tensor) -> Tuple[Tensor, Tensor]:
        """Place in the clip and finished loops.

        Args:
            ids: (...) long motion indices.
            times: (...) s, any value.

        Returns:
            phase (...) in [0, 1] and loops (...) (whole numbers as floats; 0 for CLAMP).
        """
        cycles = times / self.lengths[ids]
        loops = torch.where(self.loop_wrap[ids], torch.floor(cycles), torch.zeros_like(cycles))
        return (cycles - loops).clamp(0.0, 1.0), loops

    def locate(self, ids: Tensor, times: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """Frames around a time.

        Returns:
            lower and upper frame among all frames (...) long, blend (...) in [0, 1) from lower to upper, root
            offset of the finished loops (..., 3) m.
        """
        phase, loops = self.phase(ids, times)
        last = self.num_frames[ids] - 1
        place = phase * last
        lower = torch.minimum(place.long(), last)
        upper = torch.minimum(lower + 1, last)
        start = self.start_idx[ids]
        return start + lower, start + upper, place - lower, loops[..., None] * self.loop_offset[ids]

    def _poses(self, lower: Tensor, upper: Tensor, blend: Tensor, offset: Tensor) -> Tuple[Tensor, ...]:
        t = blend[..., None]
        root_pos = (
            torch.lerp(_rows(self.frame_root_pos, lower), _rows(self.frame_root_pos, upper), t) + offset
        )
        root_rot = rotations.slerp(_rows(self.frame_root_rot, lower), _rows(self.frame_root_rot, upper), t)
        joint_rot = rotations.slerp(
            _rows(self.frame_joint_rot, lower), _rows(self.frame_joint_rot, upper), t[..., None]
        )
        contacts = torch.lerp(_rows(self.frame_contacts, lower), _rows(self.frame_contacts, upper), t)
        return root_pos, root_rot, joint_rot, contacts

    def sample(self, ids: Tensor, times: Tensor) -> MotionFrame:
        """Reference state. ids (N,) long, times (N,) s -> tensors (N, ...)."""
        lower, upper, blend, offset = self.locate(ids, times)
        root_pos, root_rot, joint_rot, contacts = self._poses(lower, upper, blend, offset)
        return MotionFrame(
            root_pos=root_pos,
            root_rot=root_rot,
            root_vel=self.frame_root_vel[lower],
            root_ang_vel=self.frame_root_ang_vel[lower],
            joint_rot=joint_rot,
            dof_pos=self.kinematics.rot_to_dof(joint_rot),
            dof_vel=self.frame_dof_vel[lower],
            contacts=contacts,
        )

    def target_frames(
        self, ids: Tensor, times: Tensor, steps: Tensor, dt: float
    ) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """Future reference poses at times + steps·dt.

        Args:
            ids: (N,) long.
            times: (N,) s.
            steps: (K,) whole numbers of control steps.
            dt: control step, s.

        Returns:
            root_pos (N, K, 3) m, root_rot (N, K, 4), joint_rot (N, K, J-1, 4), contacts (N, K, J).
        """
        future = times[:, None] + steps.to(times.dtype) * dt
        located = self.locate(ids[:, None].expand_as(future), future)
        root_pos, root_rot, joint_rot, contacts = self._poses(*located)
        return root_pos, root_rot, joint_rot, contacts


def normalized_weights(weights: Sequence[float], names: Sequence[str]) -> Tensor:
    """(M,) float32 with sum 1.

    Raises:
        DataError: a weight is negative or not finite (names the motion), all are zero, or one is missing.
    """
    if len(weights) != len(names):
        raise DataError(f"{len(names)} motions have {len(weights)} weights")
    for weight, name in zip(weights, names):
        if not math.isfinite(weight) or weight < 0:
            raise DataError(
                f"motion {name!r} has the weight {weight}: weights must be finite and not negative"
            )
    values = torch.tensor([float(w) for w in weights], dtype=torch.float64)
    if values.sum() <= 0:
        raise DataError("the weights of all motions are zero: at least one must be positive")
    return (values / values.sum()).float()
