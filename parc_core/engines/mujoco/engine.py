"""Engine `mujoco`: MuJoCo's native batch on all cores. Runs on any laptop."""

from __future__ import annotations

import logging
from typing import Any, Dict

import numpy as np
import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.config.env_config import EnvFileConfig
from parc_core.engines.effort import effort_reach, targets_within_effort
from parc_core.engines.engine import MAX_SPEED, Engine, ResetState
from parc_core.engines.mujoco.model import ModelOptions, build_model
from parc_core.engines.mujoco.stepped_batch import make_batch
from parc_core.engines.mujoco.window import TerrainWindow
from parc_core.engines.packages import import_package
from parc_core.engines.state_buffers import check_saved_state, empty_state, rest_height
from parc_core.rotations import quat_conj, quat_rotate, quat_to_exp_map
from parc_core.system.processes import usable_cores
from parc_core.terrain.packed import PackedTerrain

_LOG = logging.getLogger(__name__)
_SAVED_FIELDS = ("time", "qpos", "qvel", "qacc_warmstart")
_KEPT_BESIDE = ("terrain_ids", "contact_forces", "diverged")
_COUNTERS = ("window_exits", "diverged")


class MujocoEngine(Engine):
    """N humanoids in float64 on the CPU; the environment sees float32.

    Args:
        character: the character; its gains and armatures become actuators, its efforts limit their targets.
        terrain: all terrains, padded, in one tensor.
        config: env file (sim_freq, substeps, control_freq, friction, terrain_window_size).
        num_envs: N.
        device: the CPU.
        num_threads: worker threads, 0 for all that the process may use.
    """

    name = "mujoco"

    def __init__(
        self,
        character: Character,
        terrain: PackedTerrain,
        config: EnvFileConfig,
        num_envs: int,
        device: torch.device,
        num_threads: int = 0,
    ) -> None:
        mujoco = import_package("mujoco")
        if mujoco.get_mju_user_warning() is None:
            # Its own handler writes MUJOCO_LOG.TXT into the working folder; divergence is counted as an episode's end.
            mujoco.set_mju_user_warning(_LOG.debug)
        env = config.env
        self.num_envs = num_envs
        self.device = device
        self.control_dt = 1.0 / env.control_freq
        self.terrain = terrain
        self.kinematics = Kinematics(character, self.device)
        self._substeps = config.physics_steps_per_control_step
        self.model = build_model(character, ModelOptions.of(config))
        self._batch = make_batch(self.model, num_envs, num_threads or usable_cores())
        self._qpos, self._qvel, self._ctrl, self._mocap, self._warmstart = (
            self._bind(name) for name in ("qpos", "qvel", "ctrl", "mocap_pos", "qacc_warmstart")
        )
        # Rows of (torque, force) about the centre of mass, in the world's axes; read-only.
        self._external_forces = self._batch.bind("cfrc_ext")
        self._make_indices(character)
        self._window = TerrainWindow(self.model, terrain, env.window_cells, self._bodies.start, self._mocap)
        self._counts = torch.zeros(len(_COUNTERS), dtype=torch.long)
        self._lead, self._reach = (values.double() for values in effort_reach(character))
        self._rest_qpos = torch.from_numpy(self.model.qpos0).clone()
        self._rest_height = rest_height(self.kinematics)
        self.terrain_ids = torch.zeros(num_envs, dtype=torch.long)
        self.state = empty_state(num_envs, character, self.device)
        if env.all_touches:
            self.touched = torch.zeros(num_envs, character.num_bodies, dtype=torch.bool)
        self._touch_force = env.contact_detection_eps
        self._read_state(torch.arange(num_envs))

    @property
    def external_forces(self) -> Tensor:  # type: ignore[override]
        """See `Engine.external_forces`; bound when it is first asked for."""
        return self._bind("xfrc_applied")[:, self._bodies, :3]

    def _bind(self, field: str) -> Tensor:
        return torch.from_numpy(self._batch.bind(field))

    def _make_indices(self, character: Character) -> None:
        """Where each joint's rotation lies in qpos."""
        is_ball = torch.tensor([t == "SPHERICAL" for t in character.joint_types[1:]])
        address = [int(self.model.joint(n).qposadr[0]) for n in self._moving_joints(character)]
        starts = torch.tensor([a for a, t in zip(address, self._moving_types(character)) if t == "SPHERICAL"])
        hinges = [a for a, t in zip(address, self._moving_types(character)) if t == "HINGE"]
        # MuJoCo stores wxyz.
        self._ball_qpos = (starts[:, None] + torch.tensor([1, 2, 3, 0])).flatten()
        self._ball_joint = is_ball.nonzero().flatten()
        self._hinge_qpos = torch.tensor(hinges, dtype=torch.long)
        dof_idx = torch.tensor([int(character.joint_dof_idx[b]) for b in range(1, len(character.body_names))])
        is_hinge = torch.tensor([t == "HINGE" for t in character.joint_types[1:]])
        self._hinge_joint = is_hinge.nonzero().flatten()
        self._hinge_dof = dof_idx[is_hinge]
        self._ball_dof = (dof_idx[is_ball][:, None] + torch.arange(3)).flatten()
        self._hinge_axis = character.joint_axis[1:][is_hinge]
        first = int(self.model.body(character.body_names[0]).id)
        self._bodies = slice(first, first + len(character.body_names))

    @staticmethod
    def _moving_joints(character: Character) -> list:
        return [
            n for n, t in zip(character.joint_names, character.joint_types) if t in ("SPHERICAL", "HINGE")
        ]

    @staticmethod
    def _moving_types(character: Character) -> list:
        return [t for t in character.joint_types if t in ("SPHERICAL", "HINGE")]

    def reset(self, env_ids: Tensor, state: ResetState) -> None:
        """See `Engine.reset`."""
        joint_rot = self.kinematics.dof_to_rot(state.dof_pos)
        qpos = torch.zeros(len(env_ids), self.model.nq, dtype=torch.float64)
        qpos[:, :3] = state.root_pos.double()
        qpos[:, 3:7] = state.root_rot[:, [3, 0, 1, 2]].double()
        qpos[:, self._ball_qpos] = joint_rot[:, self._ball_joint].flatten(1).double()
        qpos[:, self._hinge_qpos] = state.dof_pos[:, self._hinge_dof].double()
        qvel = torch.cat(
            (state.root_vel, quat_rotate(quat_conj(state.root_rot), state.root_ang_vel), state.dof_vel), dim=1
        )
        self._qpos[env_ids] = qpos
        self._qvel[env_ids] = qvel.double()
        self._warmstart[env_ids] = 0.0
        self.terrain_ids[env_ids] = state.terrain_ids
        self.state.contact_forces[env_ids] = 0.0
        self.state.diverged[env_ids] = False
        self._read_state(env_ids)

    def step(self, pd_targets: Tensor) -> None:
        """See `Engine.step`."""
        targets = pd_targets.double()
        self._window.move(self.terrain_ids, self.state.root_pos[:, :2])
        if self.touched is not None:
            self.touched.zero_()
        for _ in range(self._substeps):
            dof_pos, dof_vel = self._dof_pos(), self._qvel[:, 6:]
            self._ctrl.copy_(targets_within_effort(targets, dof_pos, dof_vel, self._lead, self._reach))
            self._batch.step(nstep=1)
            if self.touched is not None:
                force = np.linalg.norm(self._body_forces(), axis=-1)
                self.touched |= torch.from_numpy(force > self._touch_force)
        self.state.diverged = self._recover_diverged()
        self.state.contact_forces.numpy()[:] = self._body_forces()
        self.state.contact_forces[self.state.diverged] = 0.0
        self._read_state(slice(None))
        exits = self._window.exits(self.terrain_ids, self.state) & ~self.state.diverged
        self._counts += torch.stack((exits.sum(), self.state.diverged.sum()))

    def counters(self) -> Dict[str, float]:
        """See `Engine.counters`.

        Returns:
            window_exits: the middle of a shape was beside the terrain window and within its reach of the ground there.
            diverged: the simulation became non-finite and was put back to the rest pose.
        """
        counts = dict(zip(_COUNTERS, map(float, self._counts.tolist())))
        self._counts.zero_()
        return counts

    def _body_forces(self) -> np.ndarray:
        """Contact forces of the last physics step, (N, J, 3) N: a view."""
        return self._external_forces[:, self._bodies, 3:]

    def _dof_pos(self) -> Tensor:
        """Dofs as they are now, in MuJoCo's precision. (N, D) rad."""
        dof_pos = torch.empty(self.num_envs, self.model.nu, dtype=torch.float64)
        dof_pos[:, self._hinge_dof] = self._qpos[:, self._hinge_qpos]
        turns = self._qpos[:, self._ball_qpos].unflatten(1, (-1, 4))
        dof_pos[:, self._ball_dof] = quat_to_exp_map(turns).flatten(1)
        return dof_pos

    def _recover_diverged(self) -> Tensor:
        """Puts non-finite simulations back to the rest pose above ground; returns which. (N,) bool."""
        calm = self._qvel.abs().amax(1) <= MAX_SPEED  # not so where a speed is NaN
        diverged = ~(calm & torch.isfinite(self._qpos.sum(1)))
        ids = diverged.nonzero().flatten()
        if len(ids) > 0:
            xy = self.state.root_pos[ids, :2]  # of the last good state
            ground = self.terrain.heights_at(self.terrain_ids[ids], xy[:, None])[:, 0]
            self._qpos[ids] = self._rest_qpos
            self._qpos[ids, :2] = xy.double()
            self._qpos[ids, 2] = ground.double() + self._rest_height
            self._qvel[ids] = 0.0
            self._warmstart[ids] = 0.0
        return diverged

    def _read_state(self, ids: Any) -> None:
        """Copies MuJoCo's state of the given environments into `self.state`."""
        s = self.state
        qpos, qvel = self._qpos[ids].float(), self._qvel[ids].float()
        root_rot = qpos[:, [4, 5, 6, 3]]
        joint_rot = s.joint_rot[ids]
        joint_rot[:, self._ball_joint] = qpos[:, self._ball_qpos].unflatten(1, (-1, 4))
        half = 0.5 * qpos[:, self._hinge_qpos, None]
        joint_rot[:, self._hinge_joint] = torch.cat(
            (torch.sin(half) * self._hinge_axis, torch.cos(half)), dim=-1
        )
        dof_pos = self.kinematics.rot_to_dof(joint_rot)
        # A hinge's angle is read as it is: its quaternion would wrap it.
        dof_pos[:, self._hinge_dof] = qpos[:, self._hinge_qpos]
        s.root_pos[ids], s.root_rot[ids], s.joint_rot[ids], s.dof_pos[ids] = (
            qpos[:, :3],
            root_rot,
            joint_rot,
            dof_pos,
        )
        s.root_vel[ids] = qvel[:, :3]
        s.root_ang_vel[ids] = quat_rotate(root_rot, qvel[:, 3:6])
        s.dof_vel[ids] = qvel[:, 6:]
        s.body_pos[ids], s.body_rot[ids] = self.kinematics.forward(qpos[:, :3], root_rot, joint_rot)

    def state_dict(self) -> Dict[str, Any]:
        """See `Engine.state_dict`."""
        saved: Dict[str, Any] = {name: self._bind(name).clone() for name in _SAVED_FIELDS}
        saved["terrain_ids"] = self.terrain_ids.clone()
        saved["contact_forces"] = self.state.contact_forces.clone()
        saved["diverged"] = self.state.diverged.clone()
        saved["counters"] = self._counts.clone()
        return saved

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """See `Engine.load_state_dict`."""
        check_saved_state(state, [*_SAVED_FIELDS, *_KEPT_BESIDE], self._qpos)
        for name in _SAVED_FIELDS:
            self._bind(name).copy_(state[name])
        self.terrain_ids.copy_(state["terrain_ids"])
        self.state.contact_forces.copy_(state["contact_forces"])
        self.state.diverged = state["diverged"].clone()
        # States from before there were counts have none.
        self._counts.copy_(state.get("counters", torch.zeros_like(self._counts)))
        self._read_state(slice(None))
