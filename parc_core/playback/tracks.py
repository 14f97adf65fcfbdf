"""What there is to see: the poses of a policy's characters and of their references, with the terrain around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence

import numpy as np
import torch
from torch import Tensor

from parc_core.envs.terminations import FailReason
from parc_core.envs.tracking_env import TrackingEnv

AFTER_LOSS_S = 0.8  # what follows a failure is shown for so long: the fall explains it
LOOPING_CLIP_S = 3.0  # looping clips are shown for at least so long
_MARGIN_M = 0.4  # ground shown around the path
_ASTRAY_M = 0.4  # a character may leave its reference's path by so much before the ground ends


@dataclass(frozen=True)
class Track:
    """One clip as it was tracked; T frames of J bodies, in the motion's own frame."""

    name: str
    dt: float
    """Time between frames, s."""
    body_pos: np.ndarray
    """(T, J, 3) m, the simulated character."""
    body_rot: np.ndarray
    """(T, J, 4) xyzw."""
    ref_pos: np.ndarray
    """(T, J, 3) m, the reference."""
    ref_rot: np.ndarray
    """(T, J, 4) xyzw."""
    cell_xy: np.ndarray
    """(nx, ny, 2) m, centres of the terrain cells around the path."""
    cell_height: np.ndarray
    """(nx, ny) m."""
    dx: float
    """Cell size, m."""
    lost_at_s: Optional[float]
    """When the policy lost its reference, or None."""
    reason: str
    """Why, or ""."""

    @property
    def num_frames(self) -> int:
        return int(self.body_pos.shape[0])


def record_tracks(
    env: TrackingEnv, policy: Callable[[Tensor], Tensor], motion_ids: Sequence[int], max_seconds: float
) -> List[Track]:
    """Tracks clips from their first frames, one per environment, and keeps every pose.

    A clip that is lost goes on for `AFTER_LOSS_S`.

    Args:
        env: of at least len(motion_ids) environments.
        policy: observations -> actions.
        motion_ids: places in the data set.
        max_seconds: longest track.
    """
    n = len(motion_ids)
    ids = torch.tensor(list(motion_ids), device=env.device)
    padded = torch.cat((ids, ids[:1].expand(env.num_envs - n)))
    lengths = env.library.lengths[ids]
    shown = torch.where(env.library.loop_wrap[ids], lengths.clamp(min=LOOPING_CLIP_S), lengths)
    seconds = shown.clamp(max=max_seconds).cpu().numpy()
    obs = env.reset_to(padded, torch.zeros(env.num_envs, device=env.device))
    frames = [_poses(env, n)]
    reasons: List[np.ndarray] = []
    for _ in range(int(np.ceil(seconds.max() / env.control_dt - 1e-4))):
        obs, _, _, _ = env.step(policy(obs))
        frames.append(_poses(env, n))
        reasons.append(env.fail_reason[:n].cpu().numpy().copy())
    poses = [np.stack(part) for part in zip(*frames)]
    why = np.stack(reasons)
    return [
        _cut(env, int(ids[k]), [part[:, k] for part in poses], why[:, k], float(seconds[k])) for k in range(n)
    ]


def _poses(env: TrackingEnv, n: int) -> List[np.ndarray]:
    state = env.engine.state
    frame = env.library.sample(env.motion_ids[:n], env.motion_times[:n])
    ref_pos, ref_rot = env.kinematics.forward(frame.root_pos, frame.root_rot, frame.joint_rot)
    parts = (state.body_pos[:n], state.body_rot[:n], ref_pos, ref_rot)
    return [part.cpu().numpy().copy() for part in parts]


def _cut(
    env: TrackingEnv, motion_id: int, poses: List[np.ndarray], reasons: np.ndarray, seconds: float
) -> Track:
    """The track of one environment up to its clip's end or shortly after its failure."""
    steps = min(int(np.ceil(seconds / env.control_dt - 1e-4)), len(reasons))
    lost = np.flatnonzero((reasons != FailReason.NONE) & (reasons != FailReason.MOTION_END))
    lost = lost[lost < steps]
    lost_at = None
    if len(lost) > 0:
        lost_at = float(lost[0] + 1) * env.control_dt
        steps = min(steps, int(lost[0] + 1 + AFTER_LOSS_S / env.control_dt))
    body_pos, body_rot, ref_pos, ref_rot = (part[: steps + 1] for part in poses)
    near = ref_pos.reshape(-1, 3).min(0) - _ASTRAY_M, ref_pos.reshape(-1, 3).max(0) + _ASTRAY_M
    points = np.concatenate((ref_pos.reshape(-1, 3), np.clip(body_pos.reshape(-1, 3), *near)))
    cell_xy, cell_height = _ground(env, motion_id, points)
    return Track(
        name=env.library.names[motion_id],
        dt=env.control_dt,
        body_pos=body_pos,
        body_rot=body_rot,
        ref_pos=ref_pos,
        ref_rot=ref_rot,
        cell_xy=cell_xy,
        cell_height=cell_height,
        dx=float(env.terrain.dx),
        lost_at_s=lost_at,
        reason="" if lost_at is None else FailReason(int(reasons[lost[0]])).label,
    )


def _ground(env: TrackingEnv, motion_id: int, points: np.ndarray) -> Sequence[np.ndarray]:
    """The cells under a box around points (P, 3): centres (nx, ny, 2) and heights (nx, ny), as physics sees them."""
    terrain = env.terrain
    ids = torch.tensor([motion_id if terrain.num_terrains > 1 else 0], device=env.device)
    corners = np.stack((points[:, :2].min(0) - _MARGIN_M, points[:, :2].max(0) + _MARGIN_M))
    box = terrain.cell_index(ids, torch.as_tensor(corners, dtype=torch.float32, device=env.device)[None])[0]
    axes = [torch.arange(int(box[0, k]), int(box[1, k]) + 1, device=env.device) for k in range(2)]
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    flat = index.reshape(1, -1, 2)
    xy = terrain.cell_center(ids, flat).reshape(index.shape)
    heights = terrain.cell_heights(ids, flat).reshape(index.shape[:2])
    return xy.cpu().numpy(), heights.cpu().numpy()
