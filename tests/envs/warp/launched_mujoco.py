"""The CPU engine behind the launch interface of the GPU engine, so that the fused environment's own kernels can be held
against the torch environment on equal physics, without compiling MuJoCo Warp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parc_core.engines.engine import EngineState, GraphEngine, ResetState
from parc_core.engines.mujoco.engine import MujocoEngine
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.warp.env import FusedTrackingEnv
from tests.envs.scenes import env_of, physics


class LaunchedMujoco(GraphEngine):
    """`MujocoEngine` whose state stays in the same tensors and whose calls take no arguments."""

    name = "launched"

    def __init__(self, engine: MujocoEngine) -> None:
        self.inner = engine
        self.num_envs, self.device, self.control_dt = engine.num_envs, engine.device, engine.control_dt
        n, dofs = engine.state.dof_pos.shape
        self.pd_targets = torch.zeros(n, dofs)
        self.reset_mask = torch.zeros(n, dtype=torch.bool)
        self.reset_state = ResetState(
            root_pos=torch.zeros(n, 3),
            root_rot=torch.zeros(n, 4),
            root_vel=torch.zeros(n, 3),
            root_ang_vel=torch.zeros(n, 3),
            dof_pos=torch.zeros(n, dofs),
            dof_vel=torch.zeros(n, dofs),
            terrain_ids=torch.zeros(n, dtype=torch.long),
        )
        self.state = EngineState(
            **{f.name: getattr(engine.state, f.name).clone() for f in fields(EngineState)}
        )

    def _refresh(self) -> None:
        for field in fields(EngineState):
            getattr(self.state, field.name).copy_(getattr(self.inner.state, field.name))

    def launch_step(self) -> None:
        self.inner.step(self.pd_targets)
        self._refresh()

    def launch_reset(self) -> None:
        ids = torch.from_numpy(self.reset_mask.numpy().nonzero()[0])
        rows = {f.name: getattr(self.reset_state, f.name)[ids] for f in fields(ResetState)}
        self.inner.reset(ids, ResetState(**rows))
        self._refresh()

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        return launches

    def counters(self) -> dict[str, float]:
        return {"window_exits": 3.0, "contact_overflows": 0.0, "constraint_overflows": 0.0, "diverged": 1.0}

    def reset(self, env_ids: Tensor, state: ResetState) -> None:
        self.inner.reset(env_ids, state)
        self._refresh()

    def step(self, pd_targets: Tensor) -> None:
        self.pd_targets.copy_(pd_targets)
        self.launch_step()

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state)
        self._refresh()


def fused_of(env: TrackingEnv, seed: int = 0) -> FusedTrackingEnv:
    """The fused environment over env's parts; env itself must not be used any more."""
    return FusedTrackingEnv(
        env.config,
        LaunchedMujoco(physics(env)),
        env.kinematics,
        env.library,
        env.terrain,
        seed,
        env.layout,
    )


def inner_physics(env: FusedTrackingEnv) -> MujocoEngine:
    """The simulation, for tests that reach into it."""
    assert isinstance(env.engine, LaunchedMujoco)
    return env.engine.inner


def pair_of(
    motions_yaml: Path, num_envs: int = 4, seed: int = 0, **settings: Any
) -> tuple[TrackingEnv, FusedTrackingEnv]:
    """The torch environment and a fused one of the same settings, each with its own physics."""
    torch_env = env_of(motions_yaml, num_envs, seed, **settings)
    return torch_env, fused_of(env_of(motions_yaml, num_envs, seed, **settings), seed)
