"""The physics part of an environment file: steps, contact material, and the solver of Isaac Gym."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parc_core.config.schema import section, setting, unheeded

PHYSX = "MuJoCo has a solver of its own"
"""Why settings of PhysX have no effect with MuJoCo."""
_ONE_FRICTION = "MuJoCo has one coefficient, the dynamic one"
_NO_BOUNCE = "MuJoCo's contacts do not bounce"
HEEDED_BY_PHYSX = (PHYSX, _ONE_FRICTION, _NO_BOUNCE)
"""Why settings have no effect that Isaac Gym's PhysX heeds."""


@dataclass(frozen=True)
class PhysxConfig:
    """Solver settings of Isaac Gym's PhysX; the MuJoCo engines have their own."""

    bounce_threshold_velocity: float = setting(0.2, no_effect=PHYSX)
    """Relative speed under which contacts do not bounce, m/s."""
    contact_offset: float = setting(0.02, no_effect=PHYSX)
    """Distance at which contacts are generated, m."""
    default_buffer_size_multiplier: float = setting(10.0, no_effect=PHYSX)
    """Growth of the GPU contact buffers."""
    max_depenetration_velocity: float = setting(10.0, no_effect=PHYSX)
    """Speed limit of penetration recovery, m/s."""
    num_position_iterations: int = setting(4, at_least=0, no_effect=PHYSX)
    """Position iterations of the solver."""
    num_threads: int = setting(4, at_least=0, no_effect=PHYSX)
    """CPU threads."""
    num_velocity_iterations: int = setting(0, at_least=0, no_effect=PHYSX)
    """Velocity iterations of the solver."""
    rest_offset: float = setting(0.0, no_effect=PHYSX)
    """Distance at which shapes rest, m."""
    solver_type: int = setting(1, at_least=0, at_most=1, no_effect=PHYSX)
    """0 = PGS, 1 = TGS."""
    max_gpu_contact_pairs: int = setting(
        8 * 1024**2, at_least=1, ours=True, shapes_training=False, no_effect=PHYSX
    )
    """Room for contacts on a GPU, of all environments together; what does not fit is lost."""
    contact_collection: int = setting(2, at_least=0, at_most=2, ours=True, no_effect=PHYSX)
    """Contacts that are told of: 0 = none, 1 = those of the last substep, 2 = those of all substeps."""
    num_subscenes: int = unheeded(0, "each simulation is one scene")
    drive_efforts: Literal["asset", "motors"] = setting("asset", ours=True, no_effect=PHYSX)
    """Largest torques of the drives: as Isaac Gym reads the file (PARC), or the motors' gears, as MuJoCo has them."""


@dataclass(frozen=True)
class SimConfig:
    """Physics stepping."""

    physx: PhysxConfig = section(PhysxConfig)
    substeps: int = setting(2, at_least=1)
    """Physics steps per call: sim_freq 60 × substeps 2 = 120 Hz."""


@dataclass(frozen=True)
class PlaneConfig:
    """Contact material of the ground and the terrain."""

    dynamic_friction: float = setting(1.0, at_least=0)
    """Sliding friction coefficient."""
    static_friction: float = setting(1.0, at_least=0, no_effect=_ONE_FRICTION)
    """Sticking friction coefficient."""
    restitution: float = setting(0.0, at_least=0, at_most=1, no_effect=_NO_BOUNCE)
    """Bounciness."""
