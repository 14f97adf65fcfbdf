"""Settings of PhysX are no settings without effect where PhysX is the engine."""

from __future__ import annotations

from parc_core.config.env_config import (
    EnvConfig,
    EnvFileConfig,
    PhysxConfig,
    PlaneConfig,
    SimConfig,
    env_warnings,
)


def test_physx_settings_count_with_physx_alone() -> None:
    env = EnvConfig(env_spacing=3.0, plane=PlaneConfig(restitution=0.5))
    config = EnvFileConfig(env=env, sim=SimConfig(physx=PhysxConfig(solver_type=0)))
    with_mujoco = env_warnings(config, heeds_physx=False)
    assert [line.split("'")[1] for line in with_mujoco] == [
        "env.env_spacing",
        "env.plane.restitution",
        "sim.physx.solver_type",
    ]
    assert env_warnings(config, heeds_physx=True) == with_mujoco[:1]
