"""N characters that imitate reference motions on their terrains.

One control step: PD targets → physics → reference → observation → reward → done. Environments that are done keep their
last state until `reset_done`, so that the observation returned by `step` is the true next one.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Optional, Tuple, Union

import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.config.env_config import EnvConfig
from parc_core.engines.engine import Engine, ResetState
from parc_core.envs.actions import ActionMap
from parc_core.envs.bin_sampling import BinSampler, make_sampler
from parc_core.envs.critic_obs import CriticObs
from parc_core.envs.episode_stats import EpisodeStats
from parc_core.envs.observation import Observer
from parc_core.envs.reference import Reference
from parc_core.envs.scoring import Scoring
from parc_core.envs.start_noise import NoiseSource, noisy
from parc_core.envs.task import TaskTensors
from parc_core.envs.terminations import TIME_EPS, DoneFlag, FailReason, done_flags, limit_scale
from parc_core.envs.terrain_layout import TerrainLayout
from parc_core.envs.tracking_error import joint_error, tracking_errors
from parc_core.motion.library import MotionLibrary
from parc_core.system.world import ONE_PROCESS, World
from parc_core.terrain.packed import PackedTerrain


class TrackingEnv:
    """The environment, a `VecEnv`; see `parc_core.envs.factory.make_env` for how to get one.

    Attributes:
        num_envs, obs_dim, action_dim: N, 1312 and 28 with the defaults.
        device: where all tensors live.
        control_dt: s per step.
        action_low, action_high: (D,) bounds of actions.
        obs_layout: what the observation's numbers are.
        obs_norm_mask, obs_height_mask: (obs_dim,) bool: dimensions that the normalizer treats, the terrain heights.
        critic_dim, critic_obs: P numbers (N, P) that the critic sees beside the observation, see `VecEnv`.
        reward_low, reward_high: bounds of one step's reward.
        can_time_out: whether an episode can end by TIME at all; it cannot where every motion ends before.
        pd_targets: (N, D) rad, of the last step.
        motion_ids: (N,) int64; motion_times: (N,) s in the clip; fail_reason: (N,) see `FailReason`.
    """

    def __init__(
        self,
        config: EnvConfig,
        engine: Engine,
        kinematics: Kinematics,
        library: MotionLibrary,
        terrain: PackedTerrain,
        seed: int,
        layout: TerrainLayout,
    ) -> None:
        self.config, self.engine, self.kinematics = config, engine, kinematics
        self.library, self.terrain, self.layout = library, terrain, layout
        self.num_envs, self.device, self.control_dt = engine.num_envs, engine.device, engine.control_dt
        character = kinematics.character
        self.task = TaskTensors(config, character, self.device)
        self.actions = ActionMap(character, config.action_mode, config.residual_action_scale)
        self.action_low, self.action_high = self.actions.low, self.actions.high
        self.action_dim = character.dof_size
        self.reward_low, self.reward_high = self.task.reward_low, self.task.reward_high
        self.can_time_out = bool((library.loop_wrap | (library.lengths > config.episode_length)).any())
        self._generator = torch.Generator(device=self.device)
        self._generator.manual_seed(seed)
        self.sampler = make_sampler(library, config.dm, self._generator)
        self._start_noise = NoiseSource(config.start_noise, self.action_dim, self._generator, self.device)
        self.stats = EpisodeStats(self.num_envs, self.device)
        self._all = torch.arange(self.num_envs, device=self.device)
        zeros = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
        self.motion_ids, self.steps, self.done, self.fail_reason = (zeros.clone() for _ in range(4))
        self.start_times = torch.zeros(self.num_envs, device=self.device)
        self._reference: Optional[Reference] = None
        self.pd_targets = torch.zeros(self.num_envs, self.action_dim, device=self.device)
        self._torch_scoring = Scoring(config, self.task, library, terrain)
        self._observer = Observer(config, self.task, kinematics, library, terrain, self.control_dt)
        self.obs_layout = self._observer.layout
        self.obs_dim = self.obs_layout.dim
        self.obs_norm_mask = self.obs_layout.norm_mask.to(self.device)
        self.obs_height_mask = self.obs_layout.height_mask.to(self.device)
        self._obs = torch.zeros(self.num_envs, self.obs_dim, device=self.device)
        self.critic_terms = CriticObs(config, self.task, kinematics, library)
        self.critic_dim = self.critic_terms.dim
        self.critic_obs = torch.zeros(self.num_envs, self.critic_dim, device=self.device)

    @property
    def fail_rates(self) -> Tensor:
        """(M,) failure rate of each motion."""
        return self.sampler.fail_rates

    @property
    def motion_times(self) -> Tensor:
        """(N,) s: where each environment is in its motion."""
        return self.start_times + self.steps * self.control_dt

    def seed(self, seed: int) -> None:
        """Starts the random numbers anew: what `reset` and `reset_done` draw from here on repeats with the seed."""
        self._generator.manual_seed(seed)

    def reset(self) -> Tensor:
        """Starts all environments anew. Returns obs (N, obs_dim)."""
        self._reset_random(self._all)
        return self.observe()

    def reset_done(self) -> Tensor:
        """Starts those environments anew whose episode ended in the last step. Returns obs of all (N, obs_dim)."""
        ids = (self.done != DoneFlag.NULL).nonzero().flatten()
        if len(ids) > 0:
            self._reset_random(ids)
            self._obs = self._obs.clone()  # the caller keeps the true next observation of the step
            self._obs[ids] = self._observe(ids)
            self._observe_for_critic(ids)
        return self._obs

    def reset_to(self, motion_ids: Tensor, times: Tensor) -> Tensor:
        """Starts all environments at given motions (N,) and times (N,) s, without noise. Returns obs (N, obs_dim)."""
        self._place(self._all, motion_ids.to(self.device), times.to(self.device), noise=False)
        return self.observe()

    def step(self, action: Tensor) -> Tuple[Tensor, Tensor, Tensor, Dict[str, Any]]:
        """Advances one control step.

        Args:
            action: (N, D), clamped to [action_low, action_high].

        Returns:
            obs (N, obs_dim) of the states reached, reward (N,), done (N,) int64 of `DoneFlag`, and an info dict with
            `motion_end` (N,) bool.
        """
        self.steps += 1
        ref = self._reference = self._current_reference()
        self.pd_targets = self.actions.targets(action, ref.dof_pos, ref.pose.dof_vel)
        self.engine.step(self.pd_targets)
        obs = self.observe()
        reward, terms = self._reward(ref)
        self._update_done(ref)
        self._finish(reward, terms)
        return obs, reward, self.done.clone(), {"motion_end": self.fail_reason == FailReason.MOTION_END}

    def observe(self) -> Tensor:
        """Observation of the current state. (N, obs_dim)."""
        self._obs = self._observe(self._all)
        self._observe_for_critic(self._all)
        return self._obs

    def tracking_error(self) -> Tensor:
        """The seven errors of the last step, see `tracking_error.NAMES`. (N, 7)."""
        s, ref = self.engine.state, self.reference()
        return tracking_errors(
            self._torch_scoring.pose(s), ref.pose, s.body_pos, ref.body_pos, s.body_rot, ref.body_rot
        )

    def reference(self) -> Reference:
        """The last step's reference, or of the place where environments were put since; of all N environments."""
        if self._reference is None:
            self._reference = self._current_reference()
        return self._reference

    def reward_terms(self) -> Tensor:
        """The terms of the last step's reward, each from 0 to 1 but for the contact's. (N, T + 1), `TERM_COLUMNS`."""
        return self._reward(self.reference())[1]

    def joint_error(self) -> Tensor:
        """Mean distance of all bodies from their reference after the last step, m. (N,)."""
        return joint_error(self.engine.state.body_pos, self.reference().body_pos)

    def begin_iteration(self, samples: int) -> Dict[str, float]:
        """See `VecEnv.begin_iteration`: the factor of the limits of early termination, `termination_scale`."""
        scale = limit_scale(self.config, samples)
        if scale is None:
            return {}
        self.task.limit_scale.fill_(scale)
        return {"termination_scale": scale}

    def end_iteration(self, world: World) -> None:
        """Limits are as set again, and the failure rates move by the episodes that finished since the last call, see
        `MotionSampler.apply`."""
        self.task.limit_scale.fill_(1.0)
        self.sampler.apply(world)

    def episode_stats(self, world: World = ONE_PROCESS) -> Dict[str, float]:
        """See `VecEnv.episode_stats`; the engine's counts are Window_Exits, Diverged, … (environment-steps)."""
        stats = {**self.stats.read(world), **self.sampler.quantiles(self.config.dm.fail_rate_quantiles)}
        stats.update(self.sampler.boosted())
        counts = self.engine.counters()
        values = torch.tensor(list(counts.values()), dtype=torch.float64, device=self.device)
        stats.update(zip((name.title() for name in counts), world.sum_(values).tolist()))
        return stats

    def state_dict(self) -> Dict[str, Any]:
        """Everything that an exact continuation needs; loads with torch.load(weights_only=True)."""
        seen = {"critic_obs": self.critic_obs.clone()} if self.critic_dim > 0 else {}
        return {
            **seen,
            "engine": self.engine.state_dict(),
            "sampler": self.sampler.state_dict(),
            "stats": self.stats.state_dict(),
            "motion_ids": self.motion_ids.clone(),
            "start_times": self.start_times.clone(),
            "steps": self.steps.clone(),
            "done": self.done.clone(),
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Goes on exactly where `state_dict` was taken; on another kind of device with random numbers of its own.

        Raises:
            DataError: the state belongs to another character, dataset or number of environments.
        """
        self.engine.load_state_dict(state["engine"])
        self.sampler.load_state_dict(state["sampler"])
        self.stats.load_state_dict(state["stats"])
        for name in ("motion_ids", "start_times", "steps", "done"):
            getattr(self, name).copy_(state[name])
        if state["generator"].numel() == self._generator.get_state().numel():
            self._generator.set_state(state["generator"].cpu())  # else of a CPU and now a GPU
        self._reference = None
        self.observe()  # `reset_done` returns the observation of the others from before
        if self.critic_dim > 0:
            self.critic_obs.copy_(state["critic_obs"])  # with the failure rates from before

    def load_fail_rates(self, state: Dict[str, Any]) -> None:
        """See `VecEnv.load_fail_rates`."""
        self.sampler.load_state_dict(state["sampler"])

    def _observe(self, ids: Tensor) -> Tensor:
        """Observation of some environments. (n,) -> (n, obs_dim)."""
        motion_ids = self.motion_ids[ids]
        return self._observer.observe(
            self.engine.state, ids, motion_ids, self.motion_times[ids], self.terrain.ids_of(motion_ids)
        )

    def _observe_for_critic(self, ids: Tensor) -> None:
        """Sets the rows of some environments (n,)."""
        if self.critic_dim == 0:
            return
        motions = self.motion_ids[ids]
        self.critic_obs[ids] = self.critic_terms.vector(
            self.engine.state, ids, motions, self.motion_times[ids], self.fail_rates[motions]
        )

    def save_terrain(self, path: Union[str, os.PathLike[str]], with_meshes: bool = True) -> None:
        """Writes PARC's terrain.pkl of this dataset."""
        self.layout.write(path, with_meshes)

    def _reset_random(self, ids: Tensor) -> None:
        motions, times = self.sampler.sample(len(ids), self.config.rand_reset)
        self._place(ids, motions, times, noise=True)

    def _place(self, ids: Tensor, motion_ids: Tensor, times: Tensor, noise: bool) -> None:
        frame = self.library.sample(motion_ids, times)
        root_pos = frame.root_pos.clone()
        if noise:
            unit = torch.rand(len(ids), 2, generator=self._generator, device=self.device) * 2.0 - 1.0
            root_pos[:, :2] += self.config.rand_root_pos_offset_scale * unit
        state = ResetState.of(frame, root_pos, self.terrain.ids_of(motion_ids))
        if noise and self._start_noise.is_on:
            state = noisy(state, self._start_noise.draw(len(ids)))
        self.engine.reset(ids, state)
        self.motion_ids[ids], self.start_times[ids], self.steps[ids] = motion_ids, times, 0
        self.done[ids], self.fail_reason[ids], self.stats.returns[ids] = DoneFlag.NULL, FailReason.NONE, 0.0
        self._reference = None

    def _current_reference(self) -> Reference:
        return Reference(self.library, self.kinematics, self.task.key_ids, self.motion_ids, self.motion_times)

    def _reward(self, ref: Reference) -> Tuple[Tensor, Tensor]:
        return self._torch_scoring.reward(self.engine.state, ref)

    def _update_done(self, ref: Reference) -> None:
        """Sets `done` and `fail_reason`."""
        motions, times = self.motion_ids, self.motion_times
        self.fail_reason = self._torch_scoring.fail_reasons(
            self.engine.state, ref, motions, times, self.terrain.ids_of(motions)
        )
        episode_length = self.config.episode_length - TIME_EPS
        self.done = done_flags(self.steps * self.control_dt, episode_length, self.fail_reason > 0)

    def _finish(self, reward: Tensor, terms: Tensor) -> None:
        """Counts the step and episodes that ended, for statistics and failure rates."""
        self.stats.add_terms(terms)
        self.stats.returns += reward
        finished, timed_out = self.done != DoneFlag.NULL, self.done == DoneFlag.TIME
        self.stats.add(finished, self.steps, timed_out, torch.where(timed_out, 0, self.fail_reason))
        self.sampler.record(self.motion_ids, self._failed(), finished)
        self._record_bins()

    def _record_bins(self) -> None:
        """Counts where episodes ended, for a sampler that draws bins of time. Waits for no device."""
        if isinstance(self.sampler, BinSampler):
            finished = self.done != DoneFlag.NULL
            self.sampler.record_bins(
                self.motion_ids, self.start_times, self.motion_times, self._failed(), finished
            )

    def _failed(self) -> Tensor:
        """Which episodes failed in the last step; reaching a motion's end counts as success. (N,) bool."""
        return (self.done == DoneFlag.FAIL) & (self.fail_reason != FailReason.MOTION_END)
