"""What there is to see: a policy's characters and their references frame by frame, with the terrain around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.envs.terminations import FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.tracking_error import NAMES as ERROR_NAMES
from parc_core.playback.play import Policy, Step, play, waves
from parc_core.terrain.packed import PackedTerrain

TAIL_AFTER_FAILURE_S = 0.8  # what follows a failure is kept for so long: the fall explains it
LOOPING_CLIP_S = 3.0  # looping clips are shown for at least so long
_MARGIN_M = 0.4  # ground shown around the path
_SERIES = "series "  # before the names of numbers among what is kept of a step
_MAX_DEVIATION_M = 0.4  # a character may leave its reference's path by so much before the ground ends


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
    root_pos: np.ndarray
    """(T, 3) m."""
    root_rot: np.ndarray
    """(T, 4) xyzw."""
    joint_rot: np.ndarray
    """(T, J-1, 4) xyzw, parent to child."""
    contact_forces: np.ndarray
    """(T, J, 3) N, world frame."""
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
    series: Dict[str, np.ndarray]
    """(T,) each: what `numbers_of_step` says of every frame."""
    limits: Dict[str, float]
    """Of numbers of `series` those above which a clip is lost, see `limits_of`."""

    @property
    def num_frames(self) -> int:
        return int(self.body_pos.shape[0])


def record_tracks(
    env: TrackingEnv, policy: Policy, motion_ids: Sequence[int], max_seconds: float
) -> List[Track]:
    """Tracks clips from their first frames and keeps every frame.

    A clip that is lost goes on for `TAIL_AFTER_FAILURE_S`.

    Args:
        env: its episodes are given up; more clips than environments are tracked in waves.
        policy: observations -> actions.
        motion_ids: n places in the dataset.
        max_seconds: longest track.

    Returns:
        n tracks, in the order of `motion_ids`.
    """
    ids = torch.tensor(list(motion_ids), device=env.device)
    lengths = env.library.lengths[ids]
    until = torch.where(env.library.loop_wrap[ids], lengths.clamp(min=LOOPING_CLIP_S), lengths)
    until = until.clamp(max=max_seconds)
    tracks: Dict[int, Track] = {}
    for places in waves(until, env.num_envs):
        wave = ids[places]
        steps = play(env, policy, wave, until=until[places], tail_s=TAIL_AFTER_FAILURE_S)
        kept = [_kept(env, step) for step in steps]
        arrays = {name: np.stack([frame[name] for frame in kept]) for name in kept[0]}
        for k, place in enumerate(places.tolist()):
            tracks[place] = _track(env, int(wave[k]), {name: part[:, k] for name, part in arrays.items()})
    return [tracks[place] for place in range(len(ids))]


def numbers_of_step(env: TrackingEnv) -> Dict[str, Tensor]:
    """How far characters are from their references, and what they are paid for it: (N,) each of the last step.

    Joint error (m), the tracking errors, and the terms of the reward (`TERM_COLUMNS`).
    """
    errors, terms = env.tracking_error(), env.reward_terms()
    return {
        "joint_error_m": env.joint_error(),
        **{name: errors[:, k] for k, name in enumerate(ERROR_NAMES)},
        **{name: terms[:, k] for k, name in enumerate(TERM_COLUMNS)},
    }


def limits_of(env: TrackingEnv) -> Dict[str, float]:
    """Limits of numbers of `numbers_of_step`, as far as the environment ends episodes by them.

    That of single bodies has none: `body_pos_m` is a mean over them.
    """
    config = env.config
    if not (config.enable_early_termination and config.pose_termination and config.track_root):
        return {}
    return {
        "root_pos_m": config.root_pos_termination_dist,
        "root_rot_rad": config.root_rot_termination_angle,
    }


def _kept(env: TrackingEnv, step: Step) -> Dict[str, np.ndarray]:
    """Copies of all that is kept of a step: fields of `Track` without T, and `alive` and `reason`; (n, ...) each."""
    s, n = step.state, len(step.alive)
    frame = env.library.sample(env.motion_ids[:n], step.time)
    ref_pos, ref_rot = env.kinematics.forward(frame.root_pos, frame.root_rot, frame.joint_rot)
    kept = {
        "body_pos": s.body_pos,
        "body_rot": s.body_rot,
        "root_pos": s.root_pos,
        "root_rot": s.root_rot,
        "joint_rot": s.joint_rot,
        "contact_forces": s.contact_forces,
        "ref_pos": ref_pos,
        "ref_rot": ref_rot,
        "alive": step.alive,
        "reason": step.reason,
    }
    kept.update((_SERIES + name, values[:n]) for name, values in numbers_of_step(env).items())
    return {name: value.cpu().numpy().copy() for name, value in kept.items()}


def _track(env: TrackingEnv, motion_id: int, kept: Dict[str, np.ndarray]) -> Track:
    """The track of one clip from all that was kept, (T, ...) each, also after its end."""
    frames = {name: part[kept["alive"]] for name, part in kept.items()}  # a clip is alive up to its end
    reasons, ref_points = frames.pop("reason"), frames["ref_pos"].reshape(-1, 3)
    del frames["alive"]
    series = {name: frames.pop(name) for name in list(frames) if name.startswith(_SERIES)}
    lost = np.flatnonzero((reasons != FailReason.NONE) & (reasons != FailReason.MOTION_END))
    near = ref_points.min(0) - _MAX_DEVIATION_M, ref_points.max(0) + _MAX_DEVIATION_M
    points = np.concatenate((ref_points, np.clip(frames["body_pos"].reshape(-1, 3), *near)))
    cell_xy, cell_height = ground_around(env.terrain, motion_id, points)
    return Track(
        name=env.library.names[motion_id],
        dt=env.control_dt,
        cell_xy=cell_xy,
        cell_height=cell_height,
        dx=float(env.terrain.dx),
        lost_at_s=float(lost[0]) * env.control_dt if len(lost) > 0 else None,
        reason=FailReason(int(reasons[lost[0]])).label if len(lost) > 0 else "",
        series={name[len(_SERIES) :]: values for name, values in series.items()},
        limits=limits_of(env),
        **frames,
    )


def ground_around(
    terrain: PackedTerrain, motion_id: int, points: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """The cells under a box around points (P, 3): centres (nx, ny, 2) and heights (nx, ny), as physics sees them."""
    device = terrain.heights.device
    ids = terrain.ids_of(torch.tensor([motion_id], device=device))
    corners = np.stack((points[:, :2].min(0) - _MARGIN_M, points[:, :2].max(0) + _MARGIN_M))
    box = terrain.cell_index(ids, torch.as_tensor(corners, dtype=torch.float32, device=device)[None])[0]
    axes = [torch.arange(int(box[0, k]), int(box[1, k]) + 1, device=device) for k in range(2)]
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    flat = index.reshape(1, -1, 2)
    xy = terrain.cell_center(ids, flat).reshape(index.shape)
    heights = terrain.cell_heights(ids, flat).reshape(index.shape[:2])
    return xy.cpu().numpy(), heights.cpu().numpy()
