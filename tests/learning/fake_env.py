"""A tiny `VecEnv`: reach a moving target with a point."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import torch
from torch import Tensor

from parc_core.system.world import ONE_PROCESS, World


class FakeEnv:
    """obs = (target, position, phase, constant); reward falls with the distance; ends FAIL, TIME or SUCC."""

    can_time_out = True

    def __init__(self, num_envs: int = 8, seed: int = 0, dim: int = 3, horizon: int = 12) -> None:
        self.num_envs, self.device = num_envs, torch.device("cpu")
        self.obs_dim, self.action_dim, self.horizon = 2 * dim + 2, dim, horizon
        self.action_low, self.action_high = -2.0 * torch.ones(dim), 4.0 * torch.ones(dim)
        self.obs_norm_mask = torch.ones(self.obs_dim, dtype=torch.bool)
        self.obs_norm_mask[-1] = False
        self.obs_height_mask = torch.zeros(self.obs_dim, dtype=torch.bool)
        self.reward_low, self.reward_high, self.control_dt = -1.0, 1.0, 1 / 30
        self.fail_rates = torch.ones(5)
        self.critic_dim, self.critic_obs = 0, torch.zeros(num_envs, 0)
        self.poison_from: Optional[int] = None
        self.poison_count = 0
        self.steps_taken = 0
        self._rng = torch.Generator().manual_seed(seed)
        self._target = torch.zeros(num_envs, dim)
        self._pos = torch.zeros(num_envs, dim)
        self._t = torch.zeros(num_envs, dtype=torch.int64)
        self._done = torch.zeros(num_envs, dtype=torch.int64)
        self._return = torch.zeros(num_envs)
        self._sums = torch.zeros(3, dtype=torch.float64)
        self._ended = torch.zeros((), dtype=torch.int64)  # in this iteration

    def _begin(self, ids: Tensor) -> None:
        self._target[ids] = torch.rand(len(ids), self.action_dim, generator=self._rng) * 2 - 1
        self._pos[ids] = 0.1 * torch.randn(len(ids), self.action_dim, generator=self._rng)
        self._t[ids] = 0
        self._done[ids] = 0
        self._return[ids] = 0

    def _obs(self) -> Tensor:
        phase = (self._t / self.horizon).unsqueeze(-1)
        return torch.cat([self._target, self._pos, phase, torch.ones_like(phase)], -1)

    def reset(self) -> Tensor:
        self._begin(torch.arange(self.num_envs))
        return self._obs()

    def reset_to(self, motion_ids: Tensor, times: Tensor) -> Tensor:
        """A motion is a target along the diagonal, 0 to 1; the point starts at the origin."""
        self._begin(torch.arange(self.num_envs))
        self._target[:] = motion_ids[:, None] / (len(self.fail_rates) - 1)
        self._pos.zero_()
        self._t[:] = (times / self.control_dt).round()
        return self._obs()

    def step(self, action: Tensor) -> Tuple[Tensor, Tensor, Tensor, Dict[str, Any]]:
        self.steps_taken += 1
        self._pos += 0.2 * (action - self._pos)
        self._t += 1
        dist = (self._pos - self._target).norm(dim=-1)
        reward = 1 - dist.clamp_max(2.0)
        if self.poison_from is not None and self.steps_taken >= self.poison_from and self.poison_count > 0:
            self.poison_count -= 1
            reward = reward * float("nan")
        self._return += reward
        self._done = torch.where(self._t >= self.horizon, 3, 0)
        self._done[dist > 2.5] = 1
        ended = self._done != 0
        self._sums += torch.stack([ended.sum(), self._return[ended].sum(), self._t[ended].sum()]).double()
        self._ended += ended.sum()
        return self._obs(), reward, self._done.clone(), {}

    def reset_done(self) -> Tensor:
        ids = self._done.nonzero().squeeze(-1)
        if len(ids):
            self._begin(ids)
        return self._obs()

    def begin_iteration(self, samples: int) -> Dict[str, float]:
        return {}

    def end_iteration(self, world: World) -> None:
        self.fail_rates[0] *= 0.999 ** world.sum_(self._ended)
        self._ended.zero_()

    def episode_stats(self, world: World = ONE_PROCESS) -> Dict[str, float]:
        count, total, steps = world.sum_(self._sums).tolist()
        self._sums.zero_()
        if count == 0:
            return {"Episodes": 0.0}
        return {"Episodes": count, "Train_Return": total / count, "Train_Episode_Length": steps / count}

    _KEYS = ("_target", "_pos", "_t", "_done", "_return", "_sums", "_ended", "fail_rates")

    def state_dict(self) -> Dict[str, Any]:
        state = {key: getattr(self, key).clone() for key in self._KEYS}
        state["rng"] = self._rng.get_state()
        return state

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        for key in self._KEYS:
            getattr(self, key).copy_(state[key])
        self._rng.set_state(state["rng"])

    def load_fail_rates(self, state: Dict[str, Any]) -> None:
        self.fail_rates.copy_(state["fail_rates"])

    def save_terrain(self, path: str) -> None:
        with open(path, "wb") as file:
            file.write(b"terrain")
