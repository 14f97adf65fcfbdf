"""How far episodes begin from their reference."""

from __future__ import annotations

from dataclasses import dataclass

from parc_core.config.schema import setting


@dataclass(frozen=True)
class StartNoise:
    """Uniform noise of an episode's first state; 0 = none."""

    root_rot: float = setting(0.0, at_least=0, ours=True)
    """Noise of the root's first rotation, up to ± so many rad about each axis."""
    root_vel: float = setting(0.0, at_least=0, ours=True)
    """Noise of its velocity, ± m/s along each axis."""
    root_ang_vel: float = setting(0.0, at_least=0, ours=True)
    """Noise of its angular velocity, ± rad/s about each axis."""
    dof_pos: float = setting(0.0, at_least=0, ours=True)
    """Noise of the joints, ± rad each."""
    dof_vel: float = setting(0.0, at_least=0, ours=True)
    """Noise of their velocities, ± rad/s each."""

    @property
    def is_on(self) -> bool:
        """Whether any is."""
        return any(vars(self).values())
