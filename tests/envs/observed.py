"""What observation terms look at, for tests that have only some of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from parc_core.config.env_config import EnvConfig
from parc_core.envs.observation import ObservationLayout, Sizes
from parc_core.envs.observations import Observed, Targets
from parc_core.envs.rewards import Pose

POINTS = 441


def observed(char: Pose, targets: Targets, **settings: Any) -> Observed:
    """Without contacts, on level ground."""
    n, bodies = char.joint_rot.shape[0], char.joint_rot.shape[1] + 1
    return Observed(EnvConfig(**settings), char, torch.zeros(n, bodies, 3), targets, torch.zeros(n, POINTS))


def layout_of(o: Observed) -> ObservationLayout:
    sizes = Sizes(
        bodies=o.char.joint_rot.shape[1] + 1,
        dofs=o.char.dof_vel.shape[1],
        keys=o.char.key_pos.shape[1],
        steps=o.targets.root_pos.shape[1],
        points=o.ground.shape[1],
    )
    return ObservationLayout(o.config, sizes)


def char_and_targets(o: Observed) -> tuple[Tensor, Tensor]:
    """PARC's char_obs (n, ·) and tar_obs (n, K, ·), cut out of the whole vector."""
    layout = layout_of(o)
    vector, targets = layout.vector(o), layout.slices["targets"]
    assert vector.shape[1] == layout.dim
    return vector[:, : targets.start], vector[:, targets].unflatten(1, (-1, layout.target_width))
