"""When simulations go on diverging: the training stops, and what broke is kept for `parc-tracker replay`."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import torch
from torch import Tensor

from parc_core.errors import TrainingDiverged
from parc_core.learning.agent import Agent
from parc_core.motion.formats import torch_file
from parc_core.system.files import PathLike, atomic_write

STATE_FILE = "diverged_state.pt"
"""In the training's folder: tensors and plain containers, `torch.load(weights_only=True)`."""
FORMAT = "parc-tracker diverged state 1"
OUTPUTS_IN_A_ROW = 3
EXPLODED_LOSS = 1e8  # rewards are bounded, so that a healthy loss stays some orders of magnitude below
_SEARCH_STEPS = 64  # control steps in which the next divergence is waited for

Policy = Callable[[Tensor], Tensor]


def is_diverged(info: Mapping[str, float]) -> bool:
    """Whether an update went wrong: a loss is not finite or absurdly large, or weights or normalizer are not finite."""
    if not all(math.isfinite(value) for value in info.values()):
        return True
    return abs(info["loss"]) > EXPLODED_LOSS or info["all_finite"] == 0.0


class DivergenceGuard:
    """Watches the share of environment-steps in which a simulation diverged.

    A diverged simulation is put back, its episode ends with reward 0 and the training goes on: a few are no harm.
    A share that stays high says that the physics of some motion, terrain or setting is broken, and the policy
    learns from noise.
    """

    def __init__(
        self, folder: Path, env: Any, agent: Agent, max_share: float, samples: int, rank: int = 0
    ) -> None:
        """Args:
        folder: the training's, where the state is kept.
        rank: of this process, of whose environments it is.
        max_share: of environment-steps; `OUTPUTS_IN_A_ROW` outputs above it end the training.
        samples: of the training so far, which are not counted.
        """
        self.path = Path(folder) / (STATE_FILE if rank == 0 else f"rank_{rank}_{STATE_FILE}")
        self._env, self._agent, self._max_share = env, agent, max_share
        self._samples, self._count = samples, 0

    def check(self, row: Mapping[str, float], obs: Tensor, heartbeat: Callable[[], None]) -> None:
        """Looks at one output's values.

        Args:
            row: Samples, and what `episode_stats` gave.
            obs: (N, O) observations to continue from.

        Raises:
            TrainingDiverged: too many simulations diverge, and have for some outputs; the state is kept.
        """
        steps = int(row["Samples"]) - self._samples
        self._samples = int(row["Samples"])
        share = _diverged_steps(row) / steps if steps > 0 else 0.0  # after a rollback there are fewer
        self._count = self._count + 1 if share > self._max_share else 0
        if self._count < OUTPUTS_IN_A_ROW:
            return
        state, diverged = next_divergence(self._env, self._agent.act_sampled, obs, heartbeat)
        write_state(self.path, state)
        number = 0 if diverged is None else int(diverged.sum())
        raise TrainingDiverged(
            f"simulations diverged in {share:.2%} of the environment-steps, and in more than {self._max_share:.2%} "
            f"(max_diverged_share) over each of the last {OUTPUTS_IN_A_ROW} outputs, at {self._samples} samples; "
            f"a state before a step in which {number} environment(s) diverge is kept: parc-tracker replay "
            f"{self.path}"
        )

    def keep(self, norm_actions: Tensor) -> str:
        """Keeps the environment's state with actions (N, D) in ±1 of their bounds; says where."""
        write_state(self.path, captured_state(self._env, self._agent.unnormalize_action(norm_actions)))
        return str(self.path)


def _diverged_steps(row: Mapping[str, float]) -> float:
    """The engine's own count, else that of the episodes that ended so: every diverged step ends one."""
    counted = row.get("Diverged")
    if counted is not None:
        return float(counted)
    ended = float(row.get("Episodes", 0.0)) * float(row.get("Fail_Simulation_Diverged", 0.0))
    return ended if math.isfinite(ended) else 0.0  # nan: no episode ended


@torch.no_grad()
def next_divergence(
    env: Any, policy: Policy, obs: Tensor, heartbeat: Callable[[], None] = lambda: None
) -> Tuple[Dict[str, Any], Optional[Tensor]]:
    """Steps the environment until a simulation diverges.

    Returns:
        The state before that step with its actions, and which environments diverge (N,) bool; the last state and
        None where none did in `_SEARCH_STEPS` steps.
    """
    for _ in range(_SEARCH_STEPS):
        action = policy(obs).clone()
        state = captured_state(env, action)
        env.step(action)
        diverged = env.engine.state.diverged
        if bool(diverged.any()):
            return state, diverged.clone()
        obs = env.reset_done()
        heartbeat()
    return state, None


def captured_state(env: Any, action: Tensor) -> Dict[str, Any]:
    """All that is needed to repeat the next step, copied to the CPU.

    `env` is exact, for the same engine on the same kind of device; `physical` and the motions can be put into any.

    Args:
        action: (N, D) of the next step, in the environment's units.
    """
    state: Dict[str, Any] = {"format": FORMAT, "env": env.state_dict(), "action": action}
    engine = getattr(env, "engine", None)
    if engine is not None:
        state["engine"], state["device"] = engine.name, env.device.type
        state["motion_ids"], state["motion_times"] = env.motion_ids, env.motion_times
        state["names"] = list(env.library.names)
        state["physical"] = {field.name: getattr(engine.state, field.name) for field in fields(engine.state)}
    return _on_cpu(state)


def write_state(path: PathLike, state: Mapping[str, Any]) -> None:
    """Writes a captured state atomically."""
    with atomic_write(path) as file:
        torch_file.save(dict(state), file)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _on_cpu(inner) for key, inner in value.items()}
    return value
