"""Repeats the step in which simulations diverged: `parc-tracker replay <output_dir>/diverged_state.pt`.

A training that stopped because simulations diverge, or because its losses did, leaves the state behind. The same
engine on the same kind of device repeats the step exactly; another one (a GPU's state on a machine without one) starts
from the same positions and velocities.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from parc_core.config.env_config import load_env_config
from parc_core.config.paths import existing_file
from parc_core.config.resolve import ARGS_FILE
from parc_core.config.train_args import TrainArgs, read_train_args
from parc_core.engines.engine import ResetState
from parc_core.envs.factory import make_env
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.errors import DataError
from parc_core.learning.model_file import load_tensors
from parc_core.system.files import PathLike
from parc_core.training.divergence import FORMAT
from parc_tracker.tables import only_json, print_json

# What a humanoid's state stays below, generously; beyond it, or not finite, is where to look.
LIMITS = {
    "root_pos": 1e3,
    "root_vel": 50.0,
    "root_ang_vel": 100.0,
    "dof_pos": 10.0,
    "dof_vel": 200.0,
    "contact_forces": 1e5,
}
_SHOWN = 20


@dataclass(frozen=True)
class Suspect:
    """The quantity of one environment that is furthest beyond its limit, before the step."""

    quantity: str
    """Key of `LIMITS`, "action", or "" where everything is below its limit."""
    place: str
    """Which body, joint or axis."""
    value: float


@dataclass(frozen=True)
class Finding:
    """One environment of the repeated step."""

    env: int
    """Its number in the training."""
    motion: str
    time_s: float
    """Where in the motion it was."""
    diverged: bool
    """It diverges in the repeated step."""
    suspect: Suspect


@dataclass(frozen=True)
class Replayed:
    """What came of repeating a step."""

    engine: str
    """Where it was repeated: engine and device."""
    exact: bool
    """From the very state, and not from its positions and velocities alone."""
    findings: List[Finding]
    """Environments that diverge, then those that did not but whose state was beyond a limit."""


def load_state(path: PathLike) -> Dict[str, Any]:
    """The captured state of a training.

    Raises:
        DataError: missing, damaged or something else.
    """
    state = load_tensors(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT or "physical" not in state:
        raise DataError(
            f"{path}: is not a state of a diverged simulation; name a training's diverged_state.pt"
        )
    return state


def replay(path: PathLike, args: TrainArgs, engine: Optional[str] = None, device: str = "cpu") -> Replayed:
    """Repeats the step.

    Args:
        path: the state's file.
        args: of the training, for its environment and dataset.
        engine: default: what `auto` means on the device.
        device: where to repeat it.

    Raises:
        DataError, ConfigError: the state belongs to other data, or the environment cannot be made.
    """
    state = load_state(path)
    num_envs = int(state["action"].shape[0])
    env = make_env(load_env_config(args.env_config), num_envs, device, engine or "auto", args.seed)
    if list(env.library.names) != list(state["names"]):
        raise DataError(f"{path}: belongs to another dataset than {args.env_config} names")
    exact = (env.engine.name, env.device.type) == (state["engine"], state["device"])
    if exact:
        env.load_state_dict(state["env"])
    else:
        place(env, state)
    suspects = [_suspect(env, state, i) for i in range(num_envs)]
    env.step(state["action"].to(env.device))
    diverged = env.engine.state.diverged.tolist()
    motion_ids, times = state["motion_ids"].tolist(), state["motion_times"].tolist()
    found = [
        Finding(i, env.library.names[motion_ids[i]], times[i], diverged[i], suspects[i])
        for i in range(num_envs)
        if diverged[i] or suspects[i].quantity
    ]
    found.sort(key=lambda finding: (not finding.diverged, finding.env))
    return Replayed(f"{env.engine.name} on {env.device.type}", exact, found)


def place(env: TrackingEnv, state: Dict[str, Any]) -> None:
    """Puts a captured state into an environment of any engine; what the solver remembers starts anew."""
    env.reset_to(state["motion_ids"], state["motion_times"])
    terrain_ids = env.motion_ids if env.terrain.num_terrains > 1 else torch.zeros_like(env.motion_ids)
    physical = {
        field.name: state["physical"][field.name].to(env.device)
        for field in fields(ResetState)
        if field.name != "terrain_ids"
    }
    everyone = torch.arange(env.num_envs, device=env.device)
    env.engine.reset(everyone, ResetState(terrain_ids=terrain_ids, **physical))


def _suspect(env: TrackingEnv, state: Dict[str, Any], index: int) -> Suspect:
    action = state["action"][index]
    if not bool(torch.isfinite(action).all()):
        return Suspect("action", _dof_name(env, int((~torch.isfinite(action)).int().argmax())), float("nan"))
    worst, found = 1.0, Suspect("", "", 0.0)
    for quantity, limit in LIMITS.items():
        excess, place, value = _excess(state["physical"][quantity][index], limit)
        if excess > worst:
            worst, found = excess, Suspect(quantity, _place_name(env, quantity, place), value)
    return found


def _excess(values: Tensor, limit: float) -> Tuple[float, int, float]:
    """The largest magnitude in limits (infinite where not finite), its row and its value."""
    flat = values.flatten()
    size = torch.where(torch.isfinite(flat), flat.abs() / limit, torch.full_like(flat, float("inf")))
    place = int(size.argmax())
    row = place // values.shape[-1] if values.dim() == 2 else place
    return float(size[place]), row, float(flat[place])


def _place_name(env: TrackingEnv, quantity: str, place: int) -> str:
    if quantity.startswith("dof"):
        return _dof_name(env, place)
    if quantity == "contact_forces":
        return env.kinematics.character.body_names[place]
    return "xyz"[place]


def _dof_name(env: TrackingEnv, dof: int) -> str:
    character = env.kinematics.character
    first = [int(i) for i in character.joint_dof_idx]
    joint = max(
        (j for j in range(1, len(first)) if int(character.joint_dof_dim[j]) > 0 and first[j] <= dof),
        key=lambda j: first[j],
    )
    return f"{character.joint_names[joint]}[{dof - first[joint]}]"


def run_replay(
    state: Path, arg_file: Optional[Path], engine: Optional[str], device: str, as_json: bool = False
) -> None:
    """Prints what diverges and why.

    Raises:
        ConfigError, DataError: the state or the arguments are not there, and as `replay`.
    """
    existing_file(state, "STATE", "parc-tracker replay")
    args = read_train_args(arg_file or state.absolute().parent / ARGS_FILE)
    with only_json(as_json):
        replayed = replay(state, args, engine, device)
    if as_json:
        print_json(asdict(replayed))
    else:
        _show(replayed)


def _show(replayed: Replayed) -> None:
    found = replayed.findings
    number = sum(finding.diverged for finding in found)
    how = "exactly" if replayed.exact else "from its positions and velocities"
    print(f"{number} environment(s) diverge in the step, repeated {how} with {replayed.engine}")
    for finding in found[:_SHOWN]:
        suspect = finding.suspect
        what = (
            f"{suspect.quantity} of {suspect.place} is {suspect.value:.4g} before it"
            if suspect.quantity
            else "all quantities are within their limits before it"
        )
        fate = "diverges" if finding.diverged else "goes on"
        print(f"env {finding.env} ({finding.motion} at {finding.time_s:.2f} s) {fate}: {what}")
    if len(found) > _SHOWN:
        print(f"and {len(found) - _SHOWN} more")
