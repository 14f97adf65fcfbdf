"""What a training takes of the device's memory, for the message of one that does not fit."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any, Iterator, Tuple

import torch

from parc_core.config.agent_config import AgentConfig
from parc_core.engines.memory import environments_that_fit, is_out_of_memory
from parc_core.errors import ConfigError
from parc_core.learning.networks import hidden_sizes
from parc_core.learning.precision import hidden_dtype, resolve_precision

_ROOM = 0.9  # share of the free memory that is planned with: allocators leave gaps
_ROUND = 64  # the number that fits is rounded down to a multiple of it
_OBS_DIM, _ACTION_DIM = 1312, 28  # of PARC's humanoid, as long as the environment is not there to ask
_UNITS = {"": 1.0, "k": 2.0**10, "m": 2.0**20, "g": 2.0**30}
_ASKED = re.compile(r"tr(?:ied|y) to allocate (\d+(?:\.\d+)?)\s*([kmg]?)i?b", re.IGNORECASE)


def learner_bytes(config: AgentConfig, obs_dim: int, action_dim: int, number: int) -> Tuple[float, float]:
    """Bytes that the learner takes for each environment, and beside them.

    For each environment: its rows of the rollout, and of one minibatch with the activations of both networks and
    their gradients. Beside them: float32 parameters, gradients and two moments of the optimizer.

    Args:
        number: bytes of a stored observation's or activation's number, 2 (bf16) or 4.
    """
    actor, critic = hidden_sizes(config.model.actor_net), hidden_sizes(config.model.critic_net)
    steps, rows = config.steps_per_iter, config.batch_size
    rollout = steps * (number * obs_dim + 4 * (2 * action_dim + 10))
    minibatch = rows * number * (2 * obs_dim + 3 * (sum(actor) + sum(critic)))
    observations = 4 * 4 * obs_dim  # raw, normalised and those of the last step
    parameters = _parameters([obs_dim, *actor, action_dim]) + _parameters([obs_dim, *critic, 1])
    return float(rollout + minibatch + observations), 16.0 * parameters


def _parameters(widths: list) -> int:
    return sum((a + 1) * b for a, b in zip(widths, widths[1:]))


class MemoryBudget:
    """Made before a training takes memory; turns its out-of-memory errors into what to set."""

    def __init__(self, device: str, num_envs: int, config: AgentConfig) -> None:
        self._device, self._num_envs, self._config = torch.device(device), num_envs, config
        self._before = _used_and_total(self._device)[0]
        self._environment = 0.0
        self._dims = (_OBS_DIM, _ACTION_DIM)

    def environment_built(self, env: Any) -> None:
        """The environment has all it needs; what comes is the learner's."""
        self._environment = _used_and_total(self._device)[0] - self._before
        self._dims = (env.obs_dim, env.action_dim)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Raises ConfigError, with the number of environments that would fit, where memory runs out inside."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise out_of_memory_error(error, self) from error

    def environments_that_fit(self, error: BaseException) -> Tuple[int, float]:
        """How many environments would fit, and the bytes that each takes.

        From what was in use when it failed and what was asked for then, or from the counted sizes where these are
        more: much is allocated only later.
        """
        used, total = _used_and_total(self._device)
        number = (
            torch.finfo(hidden_dtype(resolve_precision(self._config.matmul_precision, self._device))).bits
            // 8
        )
        each, fixed = learner_bytes(self._config, *self._dims, number)
        counted = each + self._environment / self._num_envs
        measured = max(used - self._before - fixed + _asked_for(error), 0.0) / self._num_envs
        each = max(counted, measured)
        fit = environments_that_fit(_ROOM * (total - self._before), each, fixed)
        fit = min(fit, self._num_envs - 1)  # these did not
        return (fit // _ROUND * _ROUND if fit >= _ROUND else fit), each

    @property
    def num_envs(self) -> int:
        """N that was tried."""
        return self._num_envs

    @property
    def place(self) -> str:
        """Device and its memory, for messages."""
        return f"{self._device} ({_used_and_total(self._device)[1] / 2**30:.1f} GiB)"


def out_of_memory_error(error: BaseException, budget: MemoryBudget) -> ConfigError:
    """The error to show for one of `is_out_of_memory`: how many environments would fit."""
    fit, each = budget.environments_that_fit(error)
    advice = (
        f"about {fit} would fit, set num_envs" if fit > 0 else "not even one would fit, take smaller networks"
    )
    return ConfigError(
        f"out of memory: {budget.num_envs} environments do not fit on {budget.place} at about {each / 2**20:.2f} MiB "
        f"each with their share of the learner; {advice} (steps_per_iter and batch_size of the agent config count too)"
    )


def _asked_for(error: BaseException) -> float:
    """Bytes of the allocation that failed, as PyTorch says it; 0 where the message has none."""
    match = _ASKED.search(str(error))
    return float(match[1]) * _UNITS[match[2].lower()] if match else 0.0


def _used_and_total(device: torch.device) -> Tuple[float, float]:
    """Bytes in use on the device (by everybody) and in all; on a CPU the second alone is known."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return float(total - free), float(total)
    return 0.0, float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
