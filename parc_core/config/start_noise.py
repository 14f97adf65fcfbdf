"""How far episodes begin from their reference."""

from __future__ import annotations

from dataclasses import dataclass

from parc_core.config.schema import setting


@dataclass(frozen=True)
class StartNoise:
    """Uniform noise of an episode's first state; 0 = none."""

    root_rot: float = setting(0.0, at_least=0, ours=True)
    """Noise of the root's starting rotation: a rotation vector, ± rad along each of the world's axes."""
    root_vel: float = setting(0.0, at_least=0, ours=True)
    """Noise of the root's starting velocity, ± m/s along each axis."""
    root_ang_vel: float = setting(0.0, at_least=0, ours=True)
    """Noise of the root's starting angular velocity, ± rad/s about each axis."""
    dof_pos: float = setting(0.0, at_least=0, ours=True)
    """Noise of each joint's starting position, ± rad."""
    dof_vel: float = setting(0.0, at_least=0, ours=True)
    """Noise of each joint's starting velocity, ± rad/s."""
