"""The tracking environment as Gymnasium knows environments. Needs the extra `gym`; nothing else imports this module.

An episode that failed or followed its motion to the end is terminated: nothing comes after it. One that only reached
`episode_length` is truncated: the value of what would have come is to be estimated.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.envs.tracking_env import TrackingEnv

Array = NDArray[Any]
OPTIONS = ("motion_ids", "times")


def spaces_of(env: TrackingEnv) -> Tuple[spaces.Box, spaces.Box]:
    """Spaces of one environment's observation (O,) and action (D,), float32."""
    low, high = _array(env.action_low), _array(env.action_high)
    observation = spaces.Box(-np.inf, np.inf, (env.obs_dim,), np.float32)
    return observation, spaces.Box(low, high, dtype=np.float32)


class TrackingVectorEnv(VectorEnv[Array, Array, Array]):
    """N environments; observations (N, O), actions (N, D), rewards (N,), terminated and truncated (N,) bool.

    An environment whose episode ends starts anew in the same step (`AutoresetMode.SAME_STEP`): `step` returns the first
    observation of the new episode, and `infos["final_obs"]` has the last one of the old. Motions and times of the new
    episodes are drawn as in training. Arrays are numpy's, on the CPU; for tensors that stay on a GPU use the
    `TrackingEnv` itself.

    Every info is an array of N with a mask `_<key>` of where it counts: `motion_id`, `motion_time` (s in the motion,
    of the state that is returned), and in the step in which an episode ends `final_obs` and `final_info`, whose
    `fail_reason` says why (`FailReason`; `MOTION_END` where the motion was followed to its end).
    """

    def __init__(self, env: TrackingEnv) -> None:
        self.tracking = env
        self.num_envs = env.num_envs
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "render_modes": [],
            "render_fps": env.config.control_freq,
        }
        self.single_observation_space, self.single_action_space = spaces_of(env)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: Optional[int] = None, options: Optional[Dict[str, Any]] = None
    ) -> Tuple[Array, Dict[str, Any]]:
        """Starts all environments anew.

        Args:
            seed: one number, of all that is drawn from here on: with the same seed everything repeats.
            options: `motion_ids` (N,) and perhaps `times` (N,) s: start there, without noise.
        """
        super().reset(seed=seed)
        obs = _reset(self.tracking, seed, options)
        return _array(obs), self._infos()

    def step(self, actions: Array) -> Tuple[Array, Array, Array, Array, Dict[str, Any]]:
        """Advances all by one control step; actions (N, D) are clamped to the space."""
        env = self.tracking
        obs, reward, done, _ = env.step(_tensor(env, actions, (self.num_envs, env.action_dim)))
        flags = _array(done)
        ended = flags != DoneFlag.NULL
        final: Dict[str, Any] = {}
        if ended.any():
            final = self._final(obs, ended)
            obs = env.reset_done()
        terminated, truncated = _ends(flags)
        return _array(obs), _array(reward), terminated, truncated, {**self._infos(), **final}

    def _infos(self) -> Dict[str, Any]:
        """Of the state that is returned."""
        return _masked(_info(self.tracking), np.ones(self.num_envs, dtype=np.bool_))

    def _final(self, obs: Tensor, ended: Array) -> Dict[str, Any]:
        """Of the episodes that end, before new ones take their places."""
        last = np.full(self.num_envs, None, dtype=object)
        for place, row in zip(np.flatnonzero(ended), _array(obs[torch.as_tensor(ended, device=obs.device)])):
            last[place] = row
        info = {**_info(self.tracking), "fail_reason": _array(self.tracking.fail_reason)}
        return {
            "final_obs": last,
            "_final_obs": ended.copy(),
            "final_info": _masked(info, ended),
            "_final_info": ended.copy(),
        }


class TrackingGymEnv(gymnasium.Env[Array, Array]):
    """One environment, without autoreset: call `reset` after an episode has ended.

    `info` holds `motion_id`, `motion_time` (s) and `fail_reason` (`FailReason`).
    """

    def __init__(self, env: TrackingEnv) -> None:
        """Args:
        env: of one environment.
        """
        if env.num_envs != 1:
            raise ValueError(f"one environment is needed, not {env.num_envs}; TrackingVectorEnv takes many")
        self.tracking = env
        self.metadata = {"render_modes": [], "render_fps": env.config.control_freq}
        self.observation_space, self.action_space = spaces_of(env)

    def reset(
        self, *, seed: Optional[int] = None, options: Optional[Dict[str, Any]] = None
    ) -> Tuple[Array, Dict[str, Any]]:
        """Starts a new episode; `options` as of `TrackingVectorEnv.reset`, with lists of one."""
        super().reset(seed=seed)
        return _array(_reset(self.tracking, seed, options))[0], self._info()

    def step(self, action: Array) -> Tuple[Array, float, bool, bool, Dict[str, Any]]:
        """Advances by one control step; the action (D,) is clamped to the space."""
        env = self.tracking
        obs, reward, done, _ = env.step(_tensor(env, action, (env.action_dim,))[None])
        terminated, truncated = _ends(_array(done))
        return _array(obs)[0], float(reward), bool(terminated[0]), bool(truncated[0]), self._info()

    def _info(self) -> Dict[str, Any]:
        info = {key: values[0].item() for key, values in _info(self.tracking).items()}
        return {**info, "fail_reason": FailReason(int(self.tracking.fail_reason))}


def _reset(env: TrackingEnv, seed: Optional[int], options: Optional[Dict[str, Any]]) -> Tensor:
    unknown = sorted(set(options or ()) - set(OPTIONS))
    if unknown:
        raise ValueError(f"reset: unknown option '{unknown[0]}'; there are {', '.join(OPTIONS)}")
    if seed is not None:
        env.seed(int(seed))
    if not options:
        return env.reset()
    if "motion_ids" not in options:
        raise ValueError("reset: 'times' needs 'motion_ids'")
    ids = torch.as_tensor(options["motion_ids"]).long().expand(env.num_envs)
    if not bool(((ids >= 0) & (ids < env.library.num_motions)).all()):
        raise ValueError(f"reset: motion_ids are 0 to {env.library.num_motions - 1}")
    times = torch.as_tensor(options.get("times", 0.0), dtype=torch.float32).expand(env.num_envs)
    return env.reset_to(ids, times)


def _info(env: TrackingEnv) -> Dict[str, Array]:
    return {"motion_id": _array(env.motion_ids), "motion_time": _array(env.motion_times)}


def _masked(info: Dict[str, Array], where: Array) -> Dict[str, Any]:
    """Each array with its mask, as Gymnasium's vector environments give them."""
    masks = {f"_{key}": where.copy() for key in info}
    return {**info, **masks}


def _ends(flags: Array) -> Tuple[Array, Array]:
    """Terminated and truncated of `DoneFlag`s."""
    return (flags == DoneFlag.FAIL) | (flags == DoneFlag.SUCC), flags == DoneFlag.TIME


def _tensor(env: TrackingEnv, action: Any, shape: Tuple[int, ...]) -> Tensor:
    tensor = torch.as_tensor(action, dtype=torch.float32, device=env.device)
    if tuple(tensor.shape) != shape:
        raise ValueError(f"step: actions have the shape {tuple(tensor.shape)}, but must have {shape}")
    return tensor


def _array(tensor: Tensor) -> Array:
    """A copy that no later step changes."""
    copied: Array = tensor.detach().cpu().numpy().copy()
    return copied
