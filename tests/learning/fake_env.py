"""A tiny environment with the tracking environment's interface: reach a moving target with a point."""

from __future__ import annotations

import torch


class FakeEnv:
    """obs = (target, position, phase, constant); reward falls with the distance; ends FAIL, TIME or SUCC."""

    def __init__(self, num_envs=8, seed=0, dim=3, horizon=12):
        self.num_envs, self.device = num_envs, torch.device("cpu")
        self.obs_dim, self.action_dim, self.horizon = 2 * dim + 2, dim, horizon
        self.action_low, self.action_high = -2.0 * torch.ones(dim), 4.0 * torch.ones(dim)
        self.obs_norm_mask = torch.ones(self.obs_dim, dtype=torch.bool)
        self.obs_norm_mask[-1] = False
        self.reward_low, self.reward_high, self.control_dt = -1.0, 1.0, 1 / 30
        self.fail_rates = torch.ones(5)
        self.poison_from = self.poison_count = None
        self.steps_taken = 0
        self._rng = torch.Generator().manual_seed(seed)
        self._target = torch.zeros(num_envs, dim)
        self._pos = torch.zeros(num_envs, dim)
        self._t = torch.zeros(num_envs, dtype=torch.int64)
        self._done = torch.zeros(num_envs, dtype=torch.int64)
        self._return = torch.zeros(num_envs)
        self._sums = torch.zeros(3, dtype=torch.float64)

    def _begin(self, ids):
        self._target[ids] = torch.rand(len(ids), self.action_dim, generator=self._rng) * 2 - 1
        self._pos[ids] = 0.1 * torch.randn(len(ids), self.action_dim, generator=self._rng)
        self._t[ids] = 0
        self._done[ids] = 0
        self._return[ids] = 0

    def _obs(self):
        phase = (self._t / self.horizon).unsqueeze(-1)
        return torch.cat([self._target, self._pos, phase, torch.ones_like(phase)], -1)

    def reset(self):
        self._begin(torch.arange(self.num_envs))
        return self._obs()

    def step(self, action):
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
        self.fail_rates[0] *= 0.999
        return self._obs(), reward, self._done.clone(), {}

    def reset_done(self):
        ids = self._done.nonzero().squeeze(-1)
        if len(ids):
            self._begin(ids)
        return self._obs()

    def episode_stats(self):
        count, total, steps = self._sums.tolist()
        self._sums.zero_()
        if count == 0:
            return {"Episodes": 0.0}
        return {"Episodes": count, "Train_Return": total / count, "Train_Episode_Length": steps / count}

    _KEYS = ("_target", "_pos", "_t", "_done", "_return", "_sums", "fail_rates")

    def state_dict(self):
        state = {key: getattr(self, key).clone() for key in self._KEYS}
        state["rng"] = self._rng.get_state()
        return state

    def load_state_dict(self, state):
        for key in self._KEYS:
            getattr(self, key).copy_(state[key])
        self._rng.set_state(state["rng"])

    def save_terrain(self, path):
        with open(path, "wb") as file:
            file.write(b"terrain")
