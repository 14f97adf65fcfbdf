"""Settings of PhysX are no settings without effect where PhysX is the engine."""

from __future__ import annotations

import dataclasses

import pytest

from parc_core.config.env_config import (
    DeepMimicConfig,
    EnvConfig,
    EnvFileConfig,
    HeightmapConfig,
    PlaneConfig,
    env_warnings,
)
from parc_core.config.sim_config import PhysxConfig, SimConfig


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


def with_cells(dx: float, **env: object) -> EnvFileConfig:
    return EnvFileConfig(env=EnvConfig(dm=DeepMimicConfig(heightmap=HeightmapConfig(dx)), **env))


@pytest.mark.parametrize(
    ("dx", "env", "cells"),
    [
        (0.4, {}, 5),
        (0.1, {}, 21),
        (0.05, {}, 41),
        (0.3, {"terrain_window_size": 2.1}, 7),
        (1.0, {}, 3),
        (2.5, {}, 3),  # the root may stand at a cell's border
        (0.1, {"terrain_window": 6}, 6),
    ],
)
def test_the_terrain_window_is_given_in_metres_or_in_cells(dx: float, env: dict, cells: int) -> None:
    assert with_cells(dx, **env).env.window_cells == cells


def test_a_window_of_few_fine_cells_is_warned_of() -> None:
    config = with_cells(0.1, terrain_window=5)
    (line,) = env_warnings(config, heeds_physx=False)
    assert "5 cells of 0.1 m: feet more than 0.25 m from the root" in line
    assert env_warnings(config, heeds_physx=True) == []
    assert env_warnings(with_cells(0.4, terrain_window=5), heeds_physx=False) == []


def test_drawing_that_ignores_failures_is_warned_of() -> None:
    dm = DeepMimicConfig(sampling_bin_seconds=1.0, hard_motion_boost=4.0)
    assert env_warnings(EnvFileConfig(env=EnvConfig(dm=dm)), heeds_physx=False) == []
    dm = dataclasses.replace(dm, ignore_fail_rates=True)
    lines = env_warnings(EnvFileConfig(env=EnvConfig(dm=dm)), heeds_physx=False)
    assert lines == [
        "'env.dm.sampling_bin_seconds' has no effect with ignore_fail_rates",
        "'env.dm.hard_motion_boost' has no effect with ignore_fail_rates",
    ]
    dm.check_evaluations(0, "env.yaml")
