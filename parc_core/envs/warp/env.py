"""The tracking environment for engine `mujoco_warp`: a control step as one recorded graph that never leaves the device.

Clock, reference and PD targets, physics, observation, reward, done and episode statistics are Warp kernels, replayed
together; so is the restart of ended environments. Nothing in `step` and `reset_done` waits for the device. The torch
environment `TrackingEnv` says what is computed and is the oracle of the tests.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

import torch
import warp as wp
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.config.env_config import EnvConfig
from parc_core.engines.engine import GraphEngine
from parc_core.engines.mujoco_warp.types import (
    character_tables,
    filled,
    state_arrays,
    terrain_arrays,
    view,
)
from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.envs.terrain_layout import TerrainLayout
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.warp.arrays import EpisodeTensors, empty_poses
from parc_core.envs.warp.critic_obs import CriticObsStep
from parc_core.envs.warp.episodes import EpisodeStatsKernel
from parc_core.envs.warp.observation import ObservationStep, layout_arrays
from parc_core.envs.warp.reference import ReferenceStep
from parc_core.envs.warp.reset import ResetStep
from parc_core.envs.warp.scoring import ScoringStep
from parc_core.envs.warp.tables import motion_tables
from parc_core.envs.warp.task import StepArrays, task_arrays
from parc_core.motion.library import MotionLibrary
from parc_core.terrain.packed import PackedTerrain


class FusedTrackingEnv(TrackingEnv):
    """A `TrackingEnv` whose observations are written in place.

    The tensor that `step`, `reset` and `observe` return is always the same one. What `step` returned is the true next
    observation until `reset_done`, which overwrites the rows of the environments that it starts anew.
    """

    engine: GraphEngine

    def __init__(
        self,
        config: EnvConfig,
        engine: GraphEngine,
        kinematics: Kinematics,
        library: MotionLibrary,
        terrain: PackedTerrain,
        seed: int,
        layout: TerrainLayout,
    ) -> None:
        wp.init()
        super().__init__(config, engine, kinematics, library, terrain, seed, layout)
        self.pd_targets = engine.pd_targets
        self._build_steps()
        everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        self._everyone = view(everyone)
        self._launch_step = engine.capture(self._step_launches)
        self._launch_reset = engine.capture(self._reset_launches)
        self._launch_observe = engine.capture(lambda: self._observe_launches(self._everyone))
        self._clear()

    def _build_steps(self) -> None:
        """The parts of a step over shared tables and arrays."""
        c, device = self.config, self.device
        motions, sim = motion_tables(self.library), state_arrays(self.engine.state)
        tree = character_tables(self.kinematics.character, device)
        terrain = terrain_arrays(self.terrain)
        self._reward_of_step = torch.zeros(self.num_envs, device=device)
        self._episodes = EpisodeTensors(
            self.motion_ids,
            self.start_times,
            self.steps,
            self.done,
            self.fail_reason,
            self.stats.returns,
            self._reward_of_step,
            torch.zeros(self.num_envs, len(TERM_COLUMNS), device=device),
        )
        episodes = self._episodes.arrays(self.control_dt)
        ref = empty_poses(self.num_envs, tree.num_bodies, self.action_dim, device)
        layout = layout_arrays(c, self.task, self.obs_layout)
        self._lookup = ReferenceStep(self.actions, self.engine.pd_targets, episodes, motions, tree, ref)
        self._observation = ObservationStep(layout, tree, motions, terrain, episodes, sim, self._obs)
        arrays = filled(
            StepArrays,
            task=task_arrays(c, self.task),
            tree=tree,
            terrain=terrain,
            motions=motions,
            episodes=episodes,
            sim=sim,
            ref=ref,
        )
        self._scoring = ScoringStep(arrays, device)
        self._critic = CriticObsStep(self.critic_terms, arrays, self.sampler.fail_rates, self.critic_obs)
        self._stats_kernel = EpisodeStatsKernel(episodes, self.sampler.counts)
        self._start = ResetStep(self.engine.reset_state, motions, tree, terrain, episodes)

    def _step_launches(self) -> None:
        self._lookup.launch()
        self.engine.launch_step()
        self._observe_launches(self._everyone)
        self._scoring.launch()
        self._stats_kernel.launch()

    def _reset_launches(self) -> None:
        self._start.launch()
        self.engine.launch_reset()
        self._observe_launches(self._start.mask_array)

    def _observe_launches(self, mask: Any) -> None:
        self._observation.launch(mask)
        self._critic.launch(mask)

    def _clear(self) -> None:
        """Undoes what trial launches of the recording left."""
        for tensor in vars(self._episodes).values():
            tensor.zero_()
        self.sampler.counts.zero_()
        self.engine.counters()

    def reset(self) -> Tensor:
        """See `TrackingEnv.reset`."""
        self._start.mask.fill_(True)
        return self._restart_random()

    def reset_done(self) -> Tensor:
        """Starts those environments anew whose episode ended in the last step and overwrites their observations.

        Returns:
            (N, obs_dim), the same tensor as `step`'s.
        """
        torch.ne(self.done, DoneFlag.NULL, out=self._start.mask)
        return self._restart_random()

    def reset_to(self, motion_ids: Tensor, times: Tensor) -> Tensor:
        """See `TrackingEnv.reset_to`.

        Raises:
            IndexError: there is no such motion.
        """
        if bool(((motion_ids < 0) | (motion_ids >= self.library.num_motions)).any()):
            raise IndexError(f"motion ids must be 0 to {self.library.num_motions - 1}")
        self._start.mask.fill_(True)
        self._start.motion_ids.copy_(motion_ids)
        self._start.times.copy_(times)
        self._start.shift.zero_()
        self._start.noise.zero_()
        return self._restart()

    def _restart_random(self) -> Tensor:
        """Draws for all environments, so that nobody has to count the masked ones."""
        start, n = self._start, self.num_envs
        motions, times = self.sampler.sample(n, self.config.rand_reset)
        start.motion_ids.copy_(motions)
        start.times.copy_(times)
        unit = torch.rand(n, 2, generator=self._generator, device=self.device) * 2.0 - 1.0
        torch.mul(unit, self.config.rand_root_pos_offset_scale, out=start.shift)
        if self._start_noise.is_on:
            start.noise.copy_(self._start_noise.draw(n))
        return self._restart()

    def _restart(self) -> Tensor:
        self.engine.reset_mask.copy_(self._start.mask)
        self._launch_reset()
        self._reference = None
        return self._obs

    def step(self, action: Tensor) -> Tuple[Tensor, Tensor, Tensor, Dict[str, Any]]:
        """See `TrackingEnv.step`; the observation is valid until `reset_done` or the next step."""
        self._lookup.action.copy_(action)
        self._launch_step()
        self._reference = None  # of the time before; looked up again only if errors are asked for
        self.stats.add_rows(self._stats_kernel.rows)
        self._record_bins()
        ended = self.fail_reason == FailReason.MOTION_END
        return self._obs, self._reward_of_step.clone(), self.done.clone(), {"motion_end": ended}

    def observe(self) -> Tensor:
        """Observation of the current state, (N, obs_dim), always the same tensor."""
        self._launch_observe()
        return self._obs
