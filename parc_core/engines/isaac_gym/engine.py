"""Engine `isaac_gym`: PhysX through the tensor API of Isaac Gym Preview 4.

All agents stand in one world (`isaac_terrain`); what comes out is moved back into each motion's own frame. Isaac Gym's
tensor API takes one indexed write of each kind between two steps, the last one wins: so resets are gathered here and
written once, right before the next step.
"""

from __future__ import annotations

from typing import Any, Dict

import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.config.env_config import EnvFileConfig
from parc_core.engines.engine import MAX_SPEED, Engine, ResetState
from parc_core.engines.isaac_gym.api import load
from parc_core.engines.isaac_gym.sim import build_sim
from parc_core.engines.isaac_gym.terrain import TerrainWorld
from parc_core.engines.isaac_gym.viewer import Viewer, viewer_wanted
from parc_core.engines.state_buffers import empty_state, rest_height
from parc_core.errors import ConfigError, DataError
from parc_core.terrain.packed import PackedTerrain

_SAVED_FIELDS = ("root_states", "dof_states", "terrain_ids", "contact_forces", "diverged")


class IsaacGymEngine(Engine):
    """N characters in PhysX, on a GPU with the GPU pipeline or on the CPU.

    Args:
        character: the character; its gains and armatures become the drives', its efforts where `drive_efforts` says so.
        terrain: all terrains, padded, in one tensor.
        config: env file (char_file, sim_freq, control_freq, plane, sim, terrain_build_mode).
        num_envs: N.
        device: of the simulation and its tensors.
        num_threads: not used: `sim.physx.num_threads` says it.

    Raises:
        ConfigError: Isaac Gym is missing or cannot simulate this.
    """

    name = "isaac_gym"

    def __init__(
        self,
        character: Character,
        terrain: PackedTerrain,
        config: EnvFileConfig,
        num_envs: int,
        device: torch.device,
        num_threads: int = 0,
    ) -> None:
        self._isaac = load()
        self.num_envs, self.device, self.terrain = num_envs, device, terrain
        self.control_dt = 1.0 / config.env.control_freq
        self._calls = simulate_calls(config)
        self.kinematics = Kinematics(character, device)
        self._rest_height = rest_height(self.kinematics)
        self.world = TerrainWorld(terrain, config.env.dm.terrain_build_mode)
        graphics = viewer_wanted()
        self._built = build_sim(self._isaac, character, self.world, config, num_envs, device, graphics)
        self._acquire(character)
        self._viewer = Viewer(self._isaac, self._built) if graphics else None
        self.terrain_ids = torch.zeros(num_envs, dtype=torch.long, device=device)
        self._pending = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self._targets = torch.zeros(num_envs, character.dof_size, device=device)
        self.state = empty_state(num_envs, character, device)
        if config.env.all_touches:
            self.touched = torch.zeros(num_envs, character.num_bodies, dtype=torch.bool, device=device)
        self._touch_force = config.env.contact_detection_eps
        self._refresh()
        self._read_state(slice(None))

    def _acquire(self, character: Character) -> None:
        """State tensors of the prepared simulation, in Isaac Gym's memory."""
        gym, sim, wrap = self._isaac.gym, self._built.sim, self._isaac.torch.wrap_tensor
        n = self.num_envs
        # Position, rotation xyzw, velocity, angular velocity, all in the world.
        self._root: Tensor = wrap(gym.acquire_actor_root_state_tensor(sim)).view(n, 13)
        # Position (of a spherical joint: its rotation vector's three components) and velocity.
        self._dof: Tensor = wrap(gym.acquire_dof_state_tensor(sim)).view(n, character.dof_size, 2)
        forces = wrap(gym.acquire_net_contact_force_tensor(sim))
        self._forces: Tensor = forces.view(n, character.num_bodies, 3)

    def reset(self, env_ids: Tensor, state: ResetState) -> None:
        """See `Engine.reset`."""
        self.terrain_ids[env_ids] = state.terrain_ids
        self._root[env_ids] = torch.cat(
            (
                state.root_pos + self.world.offsets[state.terrain_ids],
                state.root_rot,
                state.root_vel,
                state.root_ang_vel,
            ),
            dim=1,
        )
        self._dof[env_ids] = torch.stack((state.dof_pos, state.dof_vel), dim=-1)
        self._pending[env_ids] = True
        self.state.contact_forces[env_ids] = 0.0
        self.state.diverged[env_ids] = False
        self._read_state(env_ids)

    def step(self, pd_targets: Tensor) -> None:
        """See `Engine.step`."""
        gym, sim = self._isaac.gym, self._built.sim
        self._write_pending()
        self._targets.copy_(pd_targets)
        gym.set_dof_position_target_tensor(sim, self._isaac.torch.unwrap_tensor(self._targets))
        if self.touched is not None:
            self.touched.zero_()
        for _ in range(self._calls):
            gym.simulate(sim)
            if self.device.type == "cpu":  # the GPU pipeline's tensors need no copying
                gym.fetch_results(sim, True)
            if self.touched is not None:
                gym.refresh_net_contact_force_tensor(sim)
                self.touched |= self._forces.norm(dim=-1) > self._touch_force
        self._refresh()
        self.state.diverged = self._recover_diverged()
        self.state.contact_forces.copy_(self._forces)
        self.state.contact_forces[self.state.diverged] = 0.0
        self._read_state(slice(None))
        if self._viewer is not None:
            if self.device.type == "cuda":
                gym.fetch_results(sim, True)
            self._viewer.draw(*self._root[0, :3].tolist())

    def _write_pending(self) -> None:
        """Gives the simulation the states of all environments that were reset since the last step."""
        ids = self._pending.nonzero().flatten()
        if len(ids) == 0:
            return
        gym, sim, unwrap = self._isaac.gym, self._built.sim, self._isaac.torch.unwrap_tensor
        # Kept until the next write: the simulation reads these tensors when it steps.
        self._written = self._built.actor_ids[ids].contiguous()
        count = len(self._written)
        gym.set_actor_root_state_tensor_indexed(sim, unwrap(self._root), unwrap(self._written), count)
        gym.set_dof_state_tensor_indexed(sim, unwrap(self._dof), unwrap(self._written), count)
        self._pending.fill_(False)

    def _refresh(self) -> None:
        gym, sim = self._isaac.gym, self._built.sim
        gym.refresh_actor_root_state_tensor(sim)
        gym.refresh_dof_state_tensor(sim)
        gym.refresh_net_contact_force_tensor(sim)

    def _recover_diverged(self) -> Tensor:
        """Puts non-finite simulations back to the rest pose above ground; returns which. (N,) bool."""
        dofs = self._dof.flatten(1)
        speeds = torch.cat((self._root[:, 7:], self._dof[..., 1]), dim=1)
        calm = speeds.abs().amax(1) <= MAX_SPEED  # not so where a speed is NaN
        diverged = ~(calm & torch.isfinite(self._root.sum(1)) & torch.isfinite(dofs.sum(1)))
        ids = diverged.nonzero().flatten()
        if len(ids) > 0:
            terrain_ids = self.terrain_ids[ids]
            xy = self.state.root_pos[ids, :2]  # of the last good state
            ground = self.terrain.heights_at(terrain_ids, xy[:, None])
            root = torch.zeros(len(ids), 13, device=self.device)
            root[:, :2], root[:, 2:3], root[:, 6] = xy, ground + self._rest_height, 1.0
            root[:, :3] += self.world.offsets[terrain_ids]
            self._root[ids] = root
            self._dof[ids] = 0.0
            self._pending[ids] = True
        return diverged

    def _read_state(self, ids: Any) -> None:
        """Copies Isaac Gym's state of the given environments into `self.state`, in their motions' frames."""
        s, root, dof = self.state, self._root[ids], self._dof[ids]
        root_pos = root[:, :3] - self.world.offsets[self.terrain_ids[ids]]
        joint_rot = self.kinematics.dof_to_rot(dof[..., 0])
        s.root_pos[ids], s.root_rot[ids] = root_pos, root[:, 3:7]
        s.root_vel[ids], s.root_ang_vel[ids] = root[:, 7:10], root[:, 10:13]
        s.dof_pos[ids], s.dof_vel[ids], s.joint_rot[ids] = dof[..., 0], dof[..., 1], joint_rot
        s.body_pos[ids], s.body_rot[ids] = self.kinematics.forward(root_pos, root[:, 3:7], joint_rot)

    def state_dict(self) -> Dict[str, Any]:
        """See `Engine.state_dict`; PhysX keeps contacts of its own, so a continuation is near, not exact."""
        root = self._root.clone()
        root[:, :3] -= self.world.offsets[self.terrain_ids]
        return {
            "root_states": root,
            "dof_states": self._dof.clone(),
            "terrain_ids": self.terrain_ids.clone(),
            "contact_forces": self.state.contact_forces.clone(),
            "diverged": self.state.diverged.clone(),
        }

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """See `Engine.load_state_dict`."""
        _check_saved(state, self.state_dict())
        self.terrain_ids.copy_(state["terrain_ids"])
        self._root.copy_(state["root_states"])
        self._root[:, :3] += self.world.offsets[self.terrain_ids]
        self._dof.copy_(state["dof_states"])
        self._pending.fill_(True)
        self.state.contact_forces.copy_(state["contact_forces"])
        self.state.diverged = state["diverged"].to(self.device).clone()
        self._read_state(slice(None))


def _check_saved(state: Dict[str, Any], own: Dict[str, Tensor]) -> None:
    for name in _SAVED_FIELDS:
        if name not in state:
            raise DataError(f"saved simulation state has no {name!r}: it belongs to another engine")
        if state[name].shape != own[name].shape:
            raise DataError(
                f"saved simulation state's {name} is {tuple(state[name].shape)}, this engine's is "
                f"{tuple(own[name].shape)}: it belongs to another character or number of environments"
            )


def simulate_calls(config: EnvFileConfig) -> int:
    """Calls of `simulate` in a control step: sim_freq / control_freq, each of `sim.substeps` physics steps.

    Raises:
        ConfigError: the control rate does not divide sim_freq.
    """
    calls, rest = divmod(config.physics_steps_per_control_step, config.sim.substeps)
    if rest:
        raise ConfigError(
            f"engine isaac_gym: env.control_freq ({config.env.control_freq} Hz) must divide env.sim_freq "
            f"({config.env.sim_freq} Hz)"
        )
    return calls
