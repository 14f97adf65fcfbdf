"""Puts the observation vector together from its terms."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.config.env_config import EnvConfig
from parc_core.engines.engine import EngineState
from parc_core.envs import observations as terms
from parc_core.envs.task import TaskTensors
from parc_core.motion.library import MotionLibrary
from parc_core.terrain.packed import PackedTerrain


class Observer:
    """char_obs ‖ tar_obs ‖ tar_contacts ‖ char_contacts ‖ heights; without contacts if `use_contact_info` is false.

    Attributes:
        obs_dim: length of the vector, 1312 with the defaults.
        norm_mask: (obs_dim,) bool: dimensions that the normalizer treats.
        height_mask: (obs_dim,) bool: the terrain heights.
    """

    def __init__(
        self,
        config: EnvConfig,
        task: TaskTensors,
        kinematics: Kinematics,
        library: MotionLibrary,
        terrain: PackedTerrain,
        control_dt: float,
    ) -> None:
        self._config, self._task, self._kinematics = config, task, kinematics
        self._library, self._terrain, self._control_dt = library, terrain, control_dt
        steps = len(task.target_steps)
        char_dim, target_dim = terms.split_sizes(
            kinematics.num_joints, kinematics.dof_size, len(task.key_ids), steps, config.root_height_obs
        )
        contacts = kinematics.num_bodies * (steps + 1) if config.use_contact_info else 0
        other = contacts + len(task.ray_points)
        self.obs_dim = char_dim + target_dim + other
        self.norm_mask = terms.norm_mask(char_dim, target_dim, other).to(kinematics.device)
        self.height_mask = torch.zeros_like(self.norm_mask)
        self.height_mask[self.obs_dim - len(task.ray_points) :] = True

    def observe(
        self, state: EngineState, ids: Tensor, motion_ids: Tensor, times: Tensor, terrain_ids: Tensor
    ) -> Tensor:
        """Observation of some environments.

        Args:
            state: of all environments.
            ids: (n,) those to observe.
            motion_ids, times, terrain_ids: (n,) their motions, times in them (s) and terrains.

        Returns:
            (n, obs_dim).
        """
        c, t = self._config, self._task
        ref_pos, ref_rot, ref_joints, ref_contacts = self._library.target_frames(
            motion_ids, times, t.target_steps, self._control_dt
        )
        ref_keys = self._kinematics.forward(ref_pos, ref_rot, ref_joints)[0].index_select(-2, t.key_ids)
        root_pos, root_rot = state.root_pos[ids], state.root_rot[ids]
        target = terms.target_obs(
            root_pos,
            root_rot,
            ref_pos,
            ref_rot,
            ref_joints,
            ref_keys,
            c.global_obs,
            c.global_root_height_obs,
        )
        parts = [self._char_obs(state, ids), target.flatten(1)]
        if c.use_contact_info:
            contacts = terms.contact_obs(state.contact_forces[ids], c.contact_detection_eps)
            parts += [ref_contacts.flatten(1), contacts]
        points = terms.ray_points_world(t.ray_points, root_pos, root_rot)
        heights = self._terrain.heights_at(terrain_ids, points)
        parts.append(terms.height_obs(heights, root_pos, c.min_obs_h, c.max_obs_h))
        return torch.cat(parts, dim=1)

    def _char_obs(self, state: EngineState, ids: Tensor) -> Tensor:
        return terms.char_obs(
            state.root_pos[ids],
            state.root_rot[ids],
            state.root_vel[ids],
            state.root_ang_vel[ids],
            state.joint_rot[ids],
            state.dof_vel[ids],
            state.body_pos[ids].index_select(-2, self._task.key_ids),
            self._config.global_obs,
            self._config.root_height_obs,
        )
