"""Observation terms (spec section 6). Pure functions; n environments, J bodies, K future steps, P height points.

`observation.SEGMENTS` says which of them make up the vector, in which order; the fused environment writes the same in
`envs/warp/observation.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor

from parc_core.config.env_config import EnvConfig
from parc_core.envs.rewards import Pose
from parc_core.rotations import heading, heading_quat_inv, quat_mul, quat_rotate, quat_to_tan_norm, rotate_2d


@dataclass
class Targets:
    """Future reference frames."""

    root_pos: Tensor
    """(n, K, 3) m."""
    root_rot: Tensor
    """(n, K, 4)."""
    joint_rot: Tensor
    """(n, K, J-1, 4)."""
    key_pos: Tensor
    """(n, K, B, 3) m, world; B may be 0."""
    contacts: Tensor
    """(n, K, J) in [0, 1]."""


@dataclass
class Observed:
    """What the terms look at.

    Vectors are observed in the character's heading frame, or with `global_obs` in the world's.

    Attributes:
        to_heading: (n, 4) from the world's axes to the heading frame; None with `global_obs`.
    """

    config: EnvConfig
    char: Pose
    """The simulated character's, world frame."""
    contact_forces: Tensor
    """(n, J, 3) N."""
    targets: Targets
    ground: Tensor
    """(n, P) m, terrain heights under the height points."""

    def __post_init__(self) -> None:
        inv = None if self.config.global_obs else heading_quat_inv(self.char.root_rot)
        self.to_heading: Optional[Tensor] = inv

    def seen(self, vectors: Tensor) -> Tensor:
        """World vectors (n, ..., 3) in the axes of the observation."""
        if self.to_heading is None:
            return vectors
        return quat_rotate(self._like(vectors), vectors)

    def turned(self, rotations: Tensor) -> Tensor:
        """World rotations (n, ..., 4) in the axes of the observation."""
        if self.to_heading is None:
            return rotations
        return quat_mul(self._like(rotations).expand_as(rotations), rotations)

    def _like(self, values: Tensor) -> Tensor:
        assert self.to_heading is not None
        return self.to_heading.reshape(-1, *(1,) * (values.dim() - 2), 4)


def root_height(o: Observed) -> Tensor:
    """Height of the root, m. (n, 1)."""
    return o.char.root_pos[:, 2:]


def root_rot(o: Observed) -> Tensor:
    """Images of the x and z axes. (n, 6)."""
    return quat_to_tan_norm(o.turned(o.char.root_rot))


def root_vel(o: Observed) -> Tensor:
    """m/s. (n, 3)."""
    return o.seen(o.char.root_vel)


def root_ang_vel(o: Observed) -> Tensor:
    """rad/s. (n, 3)."""
    return o.seen(o.char.root_ang_vel)


def joint_rot(o: Observed) -> Tensor:
    """Images of the x and z axes of each joint. (n, 6(J-1))."""
    return quat_to_tan_norm(o.char.joint_rot).flatten(1)


def dof_vel(o: Observed) -> Tensor:
    """rad/s. (n, D)."""
    return o.char.dof_vel


def key_pos(o: Observed) -> Tensor:
    """Key bodies relative to the root, m. (n, 3B)."""
    return o.seen(o.char.key_pos - o.char.root_pos[:, None]).flatten(1)


def target_root_pos(o: Observed) -> Tensor:
    """Targets' roots relative to the character's, m; the height as it is with `global_root_height_obs`. (n, K, 3)."""
    rel = o.seen(o.targets.root_pos - o.char.root_pos[:, None])
    if o.config.global_root_height_obs:
        rel = torch.cat((rel[..., :2], o.targets.root_pos[..., 2:]), dim=-1)
    return rel


def target_root_rot(o: Observed) -> Tensor:
    """Images of the x and z axes. (n, K, 6)."""
    return quat_to_tan_norm(o.turned(o.targets.root_rot))


def target_joint_rot(o: Observed) -> Tensor:
    """Images of the x and z axes of each joint. (n, K, 6(J-1))."""
    return quat_to_tan_norm(o.targets.joint_rot).flatten(2)


def target_key_pos(o: Observed) -> Tensor:
    """Targets' key bodies relative to the character's root, m. (n, K, 3B)."""
    if o.config.global_obs:
        # The reference measures keys from the target's own root here, and from the character's otherwise.
        rel = o.targets.key_pos - o.targets.root_pos[:, :, None]
    else:
        rel = o.targets.key_pos - o.char.root_pos[:, None, None]
    return o.seen(rel).flatten(2)


def target_contacts(o: Observed) -> Tensor:
    """Of the reference, in [0, 1]. (n, KJ)."""
    return o.targets.contacts.flatten(1)


def contacts(o: Observed) -> Tensor:
    """See `contact_obs`. (n, J)."""
    return contact_obs(o.contact_forces, o.config.contact_detection_eps)


def heights(o: Observed) -> Tensor:
    """See `height_obs`. (n, P)."""
    return height_obs(o.ground, o.char.root_pos, o.config.min_obs_h, o.config.max_obs_h)


def contact_obs(contact_forces: Tensor, eps: float) -> Tensor:
    """1 where a body's contact force (N, J, 3) N exceeds eps in norm, else 0. (N, J) float."""
    force: Tensor = contact_forces.norm(dim=-1)
    return (force > eps).to(contact_forces.dtype)


def ray_points(
    dx: float, num_left: int, num_right: int, angle: float, points_behind: int, points_ahead: int
) -> Tensor:
    """Height sample points in the heading frame: a fan of rays, one after the other from the right to the left.

    Each ray holds `points_behind` points behind the root, the root itself and `points_ahead` before it, dx apart.

    Returns:
        ((left + right + 1) · (behind + ahead + 1), 2) m; 441 points for the defaults.
    """
    x = torch.arange(-points_behind, points_ahead + 1, dtype=torch.float32) * dx
    ray = torch.stack((x, torch.zeros_like(x)), dim=-1)
    angles = torch.arange(-num_right, num_left + 1, dtype=torch.float32) * angle
    return rotate_2d(ray[None], angles[:, None]).reshape(-1, 2)


def ray_points_world(points: Tensor, root_pos: Tensor, root_rot: Tensor) -> Tensor:
    """Turns heading-frame points (P, 2) by each character's heading and moves them to its root. (N, P, 2) m."""
    return rotate_2d(points[None], heading(root_rot)[:, None]) + root_pos[:, None, :2]


def height_obs(heights: Tensor, root_pos: Tensor, min_h: float, max_h: float) -> Tensor:
    """Terrain heights (N, P) m relative to the root's z, clamped to [min_h, max_h]."""
    return (heights - root_pos[:, 2:]).clamp(min_h, max_h)
