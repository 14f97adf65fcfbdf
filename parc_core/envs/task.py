"""The environment config turned into tensors of one character on one device."""

from __future__ import annotations

from typing import List

import torch
from torch import Tensor

from parc_core.character.model import Character
from parc_core.config.env_config import EnvConfig, PerBody
from parc_core.envs.observations import ray_points
from parc_core.envs.rewards import REWARD_TERMS
from parc_core.errors import ConfigError, DataError


def per_body(value: PerBody, names: List[str], key: str) -> Tensor:
    """A list in body order, or a mapping by body name, as (len(names),) floats.

    Raises:
        ConfigError: wrong length, missing or unknown body.
    """
    if isinstance(value, dict):
        wrong = sorted(set(value) ^ set(names))
        if wrong:
            raise ConfigError(f"env.{key}: {wrong[0]} is missing or no body of the character")
        return torch.tensor([float(value[name]) for name in names])
    if len(value) != len(names):
        raise ConfigError(
            f"env.{key} has {len(value)} numbers, but the character needs {len(names)}: {', '.join(names)}"
        )
    return torch.tensor([float(v) for v in value])


def _body_ids(names: List[str], key: str, character: Character) -> Tensor:
    try:
        return torch.tensor([character.body_id(name) for name in names], dtype=torch.long)
    except DataError as error:
        raise ConfigError(f"env.{key}: {error}") from error


class TaskTensors:
    """Weights, limits and sample points of the tracking task."""

    def __init__(self, config: EnvConfig, character: Character, device: torch.device) -> None:
        names = character.body_names
        self.joint_weights = per_body(config.joint_err_w, names[1:], "joint_err_w").to(device)
        """(J-1,)."""
        dof_counts = character.joint_dof_dim[1:].to(device)
        self.dof_weights = torch.repeat_interleave(self.joint_weights, dof_counts)
        """(D,): a joint's weight for each of its dofs."""
        raw = torch.tensor([float(getattr(config, f"{term.name}_w")) for term in REWARD_TERMS])
        self.reward_weights = (raw / raw.sum()).to(device)
        """(T,) of `REWARD_TERMS`, sum 1."""
        exponents = [float(getattr(config, f"{term.name}_exponent")) for term in REWARD_TERMS]
        scales = torch.tensor([term.scale for term in REWARD_TERMS])
        self.reward_rates = (scales * torch.tensor(exponents)).to(device)
        """(T,) scale of each term's error times its exponent."""
        self.contact_weights = per_body(config.contact_weights, names, "contact_weights").to(device)
        """(J,)."""
        self.max_body_dist = per_body(config.pose_termination_dist, names[1:], "pose_termination_dist").to(
            device
        )
        """(J-1,) m."""
        self.limit_scale = torch.ones(1, device=device)
        """(1,) factor of the limits of how far body, root position and root rotation may be off; 1 but in an iteration
        of a training, see `TrackingEnv.begin_iteration`."""
        self.key_ids = _body_ids(config.key_bodies, "key_bodies", character).to(device)
        """(B,) int64."""
        self.may_touch = torch.zeros(len(names), dtype=torch.bool, device=device)
        """(J,) bool."""
        self.may_touch[_body_ids(config.contact_bodies, "contact_bodies", character).to(device)] = True
        self.target_steps = torch.tensor(config.tar_obs_steps, device=device)
        """(K,) control steps ahead."""
        self.ray_points = ray_points(
            config.ray_dx,
            config.ray_num_left,
            config.ray_num_right,
            config.ray_angle,
            config.ray_points_behind,
            config.ray_points_ahead,
        ).to(device)
        """(P, 2) m in the heading frame."""
        contact_bound = float(self.contact_weights.mean()) if config.use_contact_info else 0.0
        self.reward_low, self.reward_high = -contact_bound, 1.0 + contact_bound
