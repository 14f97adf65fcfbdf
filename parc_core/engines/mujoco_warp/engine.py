"""Engine `mujoco_warp`: MuJoCo Warp on an NVIDIA GPU, state as torch views, no host round trip in a step.

On the CPU it runs the same kernels, slowly: that is for tests.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, ContextManager, Dict

import mujoco_warp
import torch
import warp as wp
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.config.env_config import EnvConfig, EnvFileConfig
from parc_core.engines.engine import GraphEngine, ResetState
from parc_core.engines.memory import MemoryUse
from parc_core.engines.mujoco.model import COLUMN_HALF_HEIGHT, ModelOptions, build_model
from parc_core.engines.mujoco_warp import kernels
from parc_core.engines.mujoco_warp.contacts import ContactForces, Touches
from parc_core.engines.mujoco_warp.effort import TargetLimit
from parc_core.engines.mujoco_warp.graph import on_torch_stream, record, start_warp
from parc_core.engines.mujoco_warp.types import (
    character_tables,
    reset_arrays,
    state_arrays,
    terrain_arrays,
    view,
)
from parc_core.engines.state_buffers import check_saved_state, empty_reset, empty_state, rest_height
from parc_core.terrain.packed import PackedTerrain

_LOG = logging.getLogger(__name__)
_SAVED_FIELDS = ("time", "qpos", "qvel", "qacc_warmstart")


class MujocoWarpEngine(GraphEngine):
    """N humanoids in float32 on one device. On a GPU forces are summed in no fixed order: runs differ in last digits.

    Args:
        character: the character; its gains and armatures become actuators, its efforts limit their targets.
        terrain: all terrains, padded, in one tensor on the device.
        config: env file (sim_freq, substeps, control_freq, friction, terrain_window_size,
            max_contacts_per_env, max_constraints_per_env).
        num_envs: N.
        device: where everything lives.
        num_threads: not used; here for the common signature.

    Raises:
        ConfigError: that many environments do not fit into the GPU's memory.
    """

    name = "mujoco_warp"
    terrain_ids: Tensor
    """(N,) int64: the terrain under each environment; keeps its storage."""

    def __init__(
        self,
        character: Character,
        terrain: PackedTerrain,
        config: EnvFileConfig,
        num_envs: int,
        device: torch.device,
        num_threads: int = 0,
    ) -> None:
        env = config.env
        self.num_envs = num_envs
        self.device = terrain.heights.device
        self.wp_device = start_warp(device)
        self.control_dt = 1.0 / env.control_freq
        self.terrain = terrain
        self.kinematics = Kinematics(character, self.device)
        self._substeps = config.physics_steps_per_control_step
        self._window = env.window_cells
        self._replay: Dict[str, Callable[[], None]] = {}
        self.model = build_model(character, ModelOptions.of(config, warp=True))
        self._memory = MemoryUse(self.device, num_envs)
        with self._scope(), self._memory.explained():
            self._put_model(env.max_contacts_per_env, env.max_constraints_per_env)
            self._make_buffers(character)
            self._make_tables(character)
            self._touches = self._watch_touches(env) if env.all_touches else None
            self.launch_read()

    def _scope(self) -> ContextManager[None]:
        return on_torch_stream(self.wp_device, self.device)

    def _put_model(self, max_contacts: int, max_constraints: int) -> None:
        self._warp_model = mujoco_warp.put_model(self.model)
        # What overflows is counted in `recover_and_count`; MuJoCo Warp would print one line each.
        self._warp_model.opt.warn_overflow = 0
        self.data = mujoco_warp.make_data(
            self.model, nworld=self.num_envs, nconmax=max_contacts, njmax=max_constraints
        )
        self._qpos, self._qvel = wp.to_torch(self.data.qpos), wp.to_torch(self.data.qvel)

    def _make_buffers(self, character: Character) -> None:
        """Torch tensors and the Warp views of them."""
        n, device = self.num_envs, self.device
        self.state = empty_state(n, character, device)
        self.pd_targets = torch.zeros(n, character.dof_size, device=device)
        self.terrain_ids = torch.zeros(n, dtype=torch.long, device=device)
        self.reset_mask = torch.zeros(n, dtype=torch.bool, device=device)
        self.reset_state = empty_reset(n, character, device)
        self._counters = torch.zeros(len(kernels.COUNTERS), dtype=torch.long, device=device)
        self._state_arrays = state_arrays(self.state)
        self._reset_arrays = reset_arrays(self.reset_state)
        self._terrain_arrays = terrain_arrays(self.terrain)
        self._terrain_ids, self._reset_mask, self._counter_array = (
            view(t) for t in (self.terrain_ids, self.reset_mask, self._counters)
        )

    def _make_tables(self, character: Character) -> None:
        """What kernels need to know about the model."""
        self.character_tables = character_tables(character, self.device)
        self._target_limit = TargetLimit(character, self.character_tables, self.pd_targets, self.data)
        first_body = int(self.model.body(character.body_names[0]).id)
        forces = self.state.contact_forces
        self._contact_forces = ContactForces(self._warp_model, self.data, first_body, forces)
        self._first_geom = self._window**2  # the columns come first
        radii = torch.from_numpy(self.model.geom_rbound[self._first_geom :]).float().to(self.device)
        self._geom_radius = view(radii)
        self._rest_qpos = view(torch.from_numpy(self.model.qpos0).float().to(self.device))
        self._rest_height = rest_height(Kinematics(character))

    def _watch_touches(self, env: EnvConfig) -> Touches:
        forces = self.state.contact_forces
        self.touched = torch.zeros(forces.shape[:2], dtype=torch.bool, device=self.device)
        return Touches(forces, self.touched, env.contact_detection_eps)

    def launch_step(self) -> None:
        """See `GraphEngine.launch_step`; targets are limited to what the efforts reach."""
        with wp.ScopedDevice(self.wp_device):
            self._launch_window()
            if self._touches is not None:
                self._touches.clear()
            for _ in range(self._substeps):
                self._target_limit.launch()
                mujoco_warp.step(self._warp_model, self.data)
                if self._touches is not None:
                    self._contact_forces.launch()
                    self._touches.launch()
            if self._touches is None:
                self._contact_forces.launch()
            self._launch_recovery()
            self.launch_read()

    def _launch_window(self) -> None:
        wp.launch(
            kernels.move_window,
            dim=(self.num_envs, self._window**2),
            inputs=[
                self._terrain_arrays,
                self._terrain_ids,
                self._state_arrays.root_pos,
                self._window,
                COLUMN_HALF_HEIGHT,
            ],
            outputs=[self.data.mocap_pos],
        )

    def _launch_recovery(self) -> None:
        d = self.data
        wp.launch(
            kernels.recover_and_count,
            dim=self.num_envs,
            inputs=[
                self._terrain_arrays,
                self._terrain_ids,
                self._rest_qpos,
                self._rest_height,
                d.mocap_pos,
                self._window,
                d.geom_xpos,
                self._first_geom,
                self._geom_radius,
            ],
            outputs=[self._state_arrays, d.qpos, d.qvel, d.qacc_warmstart, d.overflow, self._counter_array],
        )

    def launch_read(self) -> None:
        """Refreshes `state` of all environments from MuJoCo Warp's coordinates."""
        wp.launch(
            kernels.read_state,
            dim=self.num_envs,
            inputs=[self.character_tables, self.data.qpos, self.data.qvel],
            outputs=[self._state_arrays],
            device=self.wp_device,
        )

    def launch_reset(self) -> None:
        """See `GraphEngine.launch_reset`."""
        d = self.data
        wp.launch(
            kernels.place,
            dim=self.num_envs,
            inputs=[self.character_tables, self._reset_mask, self._reset_arrays],
            outputs=[d.qpos, d.qvel, d.qacc_warmstart, self._terrain_ids, self._state_arrays],
            device=self.wp_device,
        )

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        """See `GraphEngine.capture`; a CUDA graph runs on torch's current stream.

        Launches run once before, so that all kernels are compiled and loaded; the engine's state, targets and counters
        are put back after that. On the CPU `launches` runs as it is.
        """
        if self.wp_device.is_cuda:
            _LOG.info("preparing GPU kernels; on a new machine they are compiled first, which takes minutes")
            saved, targets = self.state_dict(), self.pd_targets.clone()
            with self._scope(), self._memory.explained():
                launches()
            self.load_state_dict(saved)
            self.pd_targets.copy_(targets)
        with self._memory.explained():
            return record(launches, self.wp_device, self.device)

    def reset(self, env_ids: Tensor, state: ResetState) -> None:
        """See `Engine.reset`."""
        for name, values in vars(state).items():
            buffer = getattr(self.reset_state, name)
            buffer[env_ids] = values.to(buffer)
        self.reset_mask.zero_()
        self.reset_mask[env_ids] = True
        self._run("reset", self.launch_reset)

    def step(self, pd_targets: Tensor) -> None:
        """See `Engine.step`."""
        self.pd_targets.copy_(pd_targets)
        self._run("step", self.launch_step)

    def _run(self, name: str, launches: Callable[[], None]) -> None:
        if name not in self._replay:
            self._replay[name] = self.capture(launches)
        self._replay[name]()

    def counters(self) -> Dict[str, float]:
        """See `Engine.counters`.

        Returns:
            window_exits: the middle of a shape was beside the terrain window and within its reach of the ground there.
            contact_overflows: contacts found no room; raise max_contacts_per_env. The room is shared, so all
                environments count.
            constraint_overflows: an environment's constraints found no room; raise max_constraints_per_env.
            diverged: the simulation became non-finite and was put back to the rest pose.
        """
        counts = dict(zip(kernels.COUNTERS, map(float, self._counters.tolist())))
        self._counters.zero_()
        return counts

    def state_dict(self) -> Dict[str, Any]:
        """See `Engine.state_dict`; tensors on the CPU."""
        saved: Dict[str, Any] = {name: self._field(name).to("cpu", copy=True) for name in _SAVED_FIELDS}
        for name, tensor in self._kept_beside().items():
            saved[name] = tensor.to("cpu", copy=True)
        saved["counters"] = self._counters.to("cpu", copy=True)
        return saved

    def _field(self, name: str) -> Tensor:
        return wp.to_torch(getattr(self.data, name))

    def _kept_beside(self) -> Dict[str, Tensor]:
        """What a continuation needs besides MuJoCo Warp's own state."""
        return {
            "terrain_ids": self.terrain_ids,
            "contact_forces": self.state.contact_forces,
            "diverged": self.state.diverged,
        }

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """See `Engine.load_state_dict`."""
        check_saved_state(state, [*_SAVED_FIELDS, *self._kept_beside()], self._qpos)
        for name in _SAVED_FIELDS:
            self._field(name).copy_(state[name])
        for name, tensor in self._kept_beside().items():
            tensor.copy_(state[name])
        # What an evaluation within a training met does not belong to the training's own count.
        self._counters.copy_(state.get("counters", torch.zeros_like(self._counters)))
        with self._scope():
            self.launch_read()
