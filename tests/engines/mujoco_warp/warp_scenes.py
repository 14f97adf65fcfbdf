"""Engine `mujoco_warp` and its oracle `mujoco`, and how near the two have to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed (pip install 'parc-tracker[gpu]')")

from parc_core.config.env_config import EnvConfig, EnvFileConfig
from parc_core.engines.engine import EngineState, ResetState
from parc_core.engines.mujoco.engine import MujocoEngine
from parc_core.engines.mujoco_warp.engine import MujocoWarpEngine
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain
from tests.engines.scenes import flat
from tests.envs.scenes import humanoid

# Largest error of each quantity after one control step (4 substeps) or ten calm ones; forces in N.
CLOSE = {
    "root_pos": 1e-4,
    "root_rot": 5e-5,
    "root_vel": 1e-3,
    "root_ang_vel": 1e-2,
    "dof_pos": 5e-4,
    "dof_vel": 3e-2,
    "joint_rot": 2e-4,
    "body_pos": 3e-4,
    "body_rot": 3e-4,
    "contact_forces": 1.0,
}
# After ten steps of limbs that hit each other: errors of float32 grow with every blow.
AFTER_BLOWS = {
    "root_pos": 2e-3,
    "root_rot": 1e-2,
    "root_vel": 2e-2,
    "root_ang_vel": 2e-1,
    "dof_pos": 2e-2,
    "dof_vel": 2.0,
    "joint_rot": 1e-2,
    "body_pos": 1e-2,
    "body_rot": 1e-2,
    "contact_forces": 150.0,  # 43 N on a CPU and 87 N on an H100, of blows of many hundred
}


def file_of(**env: Any) -> EnvFileConfig:
    return EnvFileConfig(env=EnvConfig(**env))


def warp_engine(device: torch.device, n: int = 1, *terrains: Heightfield, **env: Any) -> MujocoWarpEngine:
    packed = PackedTerrain(terrains or [flat()], device)
    return MujocoWarpEngine(humanoid(), packed, file_of(**env), n, device)


def oracle(n: int, *terrains: Heightfield, **env: Any) -> MujocoEngine:
    cpu = torch.device("cpu")
    return MujocoEngine(humanoid(), PackedTerrain(terrains, cpu), file_of(**env), n, cpu, 1)


def on(device: torch.device, values: ResetState) -> ResetState:
    return ResetState(**{name: tensor.to(device) for name, tensor in vars(values).items()})


def reset(engine: MujocoWarpEngine, to: ResetState) -> None:
    engine.reset(torch.arange(engine.num_envs, device=engine.device), on(engine.device, to))


def step(engine: MujocoWarpEngine, targets: Tensor | None = None, steps: int = 1) -> None:
    if targets is None:
        targets = torch.zeros(engine.num_envs, 28)
    for _ in range(steps):
        engine.step(targets.to(engine.device))


def fields(s: EngineState) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in vars(s).items():
        yield name, tensor.cpu()


def compare(got: EngineState, expected: EngineState, tolerance: dict[str, float], when: str) -> None:
    errors = {
        name: float((tensor - getattr(expected, name)).abs().max())
        for name, tensor in fields(got)
        if name != "diverged"
    }
    worse = {name: error for name, error in errors.items() if not error <= tolerance[name]}
    assert not worse, f"{when}: {worse}"
    assert torch.equal(got.diverged.cpu(), expected.diverged)
