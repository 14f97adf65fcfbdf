"""What a control step earns and whether it ends an episode; the fused environment's is `envs/warp/scoring.py`."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor

from parc_core.config.env_config import EnvConfig
from parc_core.engines.engine import EngineState
from parc_core.envs.reference import Reference
from parc_core.envs.rewards import Pose, compare, contact_reward, reward_terms
from parc_core.envs.task import TaskTensors
from parc_core.envs.terminations import StepResult, fail_reasons
from parc_core.motion.library import MotionLibrary
from parc_core.terrain.packed import PackedTerrain


class Scoring:
    """Compares N characters with their references."""

    def __init__(
        self, config: EnvConfig, task: TaskTensors, library: MotionLibrary, terrain: PackedTerrain
    ) -> None:
        self._config, self._task, self._library, self._terrain = config, task, library, terrain

    def pose(self, state: EngineState) -> Pose:
        """Of the characters."""
        key_pos = state.body_pos[:, self._task.key_ids]
        return Pose(
            state.root_pos,
            state.root_rot,
            state.root_vel,
            state.root_ang_vel,
            state.joint_rot,
            state.dof_vel,
            key_pos,
        )

    def reward(self, state: EngineState, ref: Reference) -> Tuple[Tensor, Tensor]:
        """The reward (N,) and its terms (N, T + 1), see `TERM_COLUMNS`; 0 where the simulation diverged."""
        c, t = self._config, self._task
        compared = compare(
            self.pose(state), ref.pose, t.joint_weights, t.dof_weights, c.track_root, c.track_root_h
        )
        terms = reward_terms(compared, t.reward_rates)
        reward = terms @ t.reward_weights
        contact = torch.zeros_like(reward)
        if c.use_contact_info:
            contact = contact_reward(state.contact_forces, ref.contacts, t.contact_weights).mean(-1)
            reward = reward + contact
        # The state of a diverged simulation says nothing about the action.
        terms = torch.cat((terms, contact[:, None]), dim=1)
        return reward.masked_fill(state.diverged, 0.0), terms.masked_fill(state.diverged[:, None], 0.0)

    def fail_reasons(
        self, state: EngineState, ref: Reference, motion_ids: Tensor, times: Tensor, terrain_ids: Tensor
    ) -> Tensor:
        """Why episodes end other than by time, (N,) int64 of `FailReason`.

        Args:
            motion_ids, times: (N,), (N,) s: where they are in which motion.
            terrain_ids: (N,) the terrains that they are on.
        """
        return fail_reasons(
            StepResult(
                config=self._config,
                task=self._task,
                state=state,
                ref=ref,
                motion_times=times,
                motion_lengths=self._library.lengths[motion_ids],
                motion_loops=self._library.loop_wrap[motion_ids],
                ground=lambda: self._terrain.heights_at(terrain_ids, state.body_pos[..., :2]),
            )
        )
