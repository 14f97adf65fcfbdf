"""What the learner and the trainer need of an environment: N simulations that are stepped together.

`TrackingEnv` and `FusedTrackingEnv` are such environments. Whatever plays clips reads their motions and simulation as
well and takes a `TrackingEnv`.
"""

from __future__ import annotations

from typing import Any, Dict, Protocol, Tuple

import torch
from torch import Tensor

from parc_core.system.world import ONE_PROCESS, World


class VecEnv(Protocol):
    """N environments with observations of O and actions of D numbers. Tensors are float32 on `device`.

    An iteration of a training is `begin_iteration`, any number of `step`, each followed by `reset_done`, and
    `end_iteration`. What changes in the course of a training holds between the two alone.
    """

    num_envs: int
    """N."""
    obs_dim: int
    """O."""
    action_dim: int
    """D."""
    device: torch.device
    """Of all tensors; actions are expected there."""
    action_low: Tensor
    """(D,) lower bounds of actions, rad."""
    action_high: Tensor
    """(D,) upper bounds of actions, rad."""
    obs_norm_mask: Tensor
    """(O,) bool: the dimensions that the normalizer scales; the others pass unchanged."""
    obs_height_mask: Tensor
    """(O,) bool: terrain heights, m."""
    reward_low: float
    """Lower bound of one step's reward."""
    reward_high: float
    """Upper bound of one step's reward."""
    critic_dim: int
    """P, how many numbers the critic sees beside the observation; 0 where it sees the same as the policy."""
    critic_obs: Tensor
    """(N, P) these numbers, which no normalizer has to treat, of the states whose observation was returned last;
    `step`, `reset`, `reset_to` and `reset_done` change them."""
    can_time_out: bool
    """Whether an episode can end by TIME at all; if not, only the last step's next observation is valued."""

    @property
    def fail_rates(self) -> Tensor:
        """(M,) failure rate of each motion, 0 to 1; changed by `end_iteration` only."""
        ...

    def reset(self) -> Tensor:
        """Starts all environments anew. Returns obs (N, O)."""
        ...

    def reset_to(self, motion_ids: Tensor, times: Tensor) -> Tensor:
        """Starts all environments at motions (N,) int64 and times (N,) s, without noise. Returns obs (N, O)."""
        ...

    def step(self, action: Tensor) -> Tuple[Tensor, Tensor, Tensor, Dict[str, Any]]:
        """Advances all environments by one control step.

        Args:
            action: (N, D), clamped to the bounds.

        Returns:
            obs (N, O) of the states reached, also where an episode ended; valid until the next call. Reward (N,), done
            (N,) int64 of `DoneFlag`, and a dict with whatever else is known.
        """
        ...

    def reset_done(self) -> Tensor:
        """Starts those environments anew whose episode ended in the last step.

        Returns:
            obs (N, O) to act on next. May be the tensor that `step` returned, with their rows overwritten.
        """
        ...

    def begin_iteration(self, samples: int) -> Dict[str, float]:
        """Sets what changes in the course of a training to what it is after `samples` samples.

        Returns:
            what it was set to, by name, for the log; empty where nothing changes.
        """
        ...

    def end_iteration(self, world: World) -> None:
        """Undoes what `begin_iteration` set, and moves the failure rates by all episodes that ended since the last
        call, in all processes. Collective."""
        ...

    def episode_stats(self, world: World = ONE_PROCESS) -> Dict[str, float]:
        """Statistics of the episodes that ended since the last call, in all processes. Collective.

        Returns:
            Episodes (count), Train_Return, Train_Episode_Length (steps), Completed and Fail_<reason> (shares), absent
            where no episode ended; <term>_r, means of the reward's terms over all steps; Fail_Rate_Q<level>, quantiles
            of the failure rates; Boosted_Motions (share), where motions can be; the engine's counts of
            environment-steps (Diverged, ...), where it has any.
        """
        ...

    def state_dict(self) -> Dict[str, Any]:
        """All that an exact continuation needs: tensors, plain values and containers of them."""
        ...

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        """Continues where `state_dict` was taken, exactly on the same kind of device.

        Raises:
            DataError: the state belongs to another character, dataset or number of environments.
        """
        ...

    def load_fail_rates(self, state: Dict[str, Any]) -> None:
        """Takes over the failure rates alone of another environment's `state_dict`, whatever its number of simulations.

        Raises:
            DataError: the state belongs to another dataset.
        """
        ...
