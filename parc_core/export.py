"""A policy as one file for other programs: ONNX or TorchScript, with the normalizer and the action map in it.

The graph takes raw observations and gives the PD targets that the joints' drives get. What it needs to be used is its
metadata, JSON: the observation's layout, the joints with their gains, the rates.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import torch
from torch import Tensor, nn

from parc_core import __version__
from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.character.model import Character
from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.envs.actions import RESIDUAL, ActionMap
from parc_core.envs.observation import ObservationLayout
from parc_core.envs.task import TaskTensors
from parc_core.errors import ConfigError
from parc_core.learning.agent import Agent
from parc_core.learning.model_file import build_agent, check_actions, read_model_file
from parc_core.system.extras import install_extra
from parc_core.system.files import PathLike, sha256_file, write_bytes

FORMAT = "parc-tracker policy 1"
METADATA = "parc_tracker"
"""Key of the metadata in an ONNX file; `parc_tracker.json` in a TorchScript file."""
_CONVENTIONS = {
    "quaternions": "xyzw",
    "axes": "z up, right-handed; m, s, rad, N",
    "rotations_in_obs": "6 numbers: images of the x and of the z axis",
    "frame_of_obs": "positions, velocities and rotations in the character's heading frame, unless global_obs",
    "joint_dofs": "SPHERICAL: rotation vector, 3 numbers; HINGE: angle about the axis",
}
_BATCH = 2
"""Rows of the example that graphs are traced with; any number works."""


@dataclass(frozen=True)
class Policy:
    """A policy to be exported."""

    module: nn.Module
    """Inputs -> (PD targets (N, D) rad, action (N, D))."""
    inputs: Dict[str, int]
    """Name and width of each input (N, width)."""
    metadata: Dict[str, Any]


class _Absolute(nn.Module):
    """Actions are PD targets."""

    def __init__(self, agent: Agent, actions: ActionMap) -> None:
        super().__init__()
        self.layers, self.mean_net = agent.model.actor_layers, agent.model.head.mean_net
        self.clip = agent.obs_norm.clip
        norms = agent.state_dict()
        for name in ("_obs_norm._mean", "_obs_norm._std", "_a_norm._mean", "_a_norm._std"):
            self.register_buffer(name[1:].replace("._", "_"), norms[name])
        self.register_buffer("low", actions.low)
        self.register_buffer("high", actions.high)

    obs_norm_mean: Tensor
    obs_norm_std: Tensor
    a_norm_mean: Tensor
    a_norm_std: Tensor
    low: Tensor
    high: Tensor

    def act(self, obs: Tensor) -> Tensor:
        """As `Agent.act_mode`, whose in-place operations do not belong in a graph."""
        normalized = ((obs - self.obs_norm_mean) / self.obs_norm_std).clamp(-self.clip, self.clip)
        mode: Tensor = self.mean_net(self.layers(normalized))
        return mode * self.a_norm_std + self.a_norm_mean

    def forward(self, obs: Tensor) -> Tuple[Tensor, Tensor]:
        action = self.act(obs)
        return torch.maximum(torch.minimum(action, self.high), self.low), action


class _Residual(_Absolute):
    """Actions correct the reference of the step that they are for."""

    def __init__(self, agent: Agent, actions: ActionMap) -> None:
        super().__init__(agent, actions)
        self.register_buffer("lead", actions.lead)

    lead: Tensor

    def forward(  # type: ignore[override]
        self, obs: Tensor, ref_dof_pos: Tensor, ref_dof_vel: Tensor
    ) -> Tuple[Tensor, Tensor]:
        correction, action = super().forward(obs)
        return ref_dof_pos + self.lead * ref_dof_vel + correction, action


def read_policy(model_file: PathLike, env_file: EnvFileConfig, agent_config: AgentConfig) -> Policy:
    """The policy of a model file.

    Args:
        model_file: PARC's or our model.pt, or a checkpoint.
        env_file: the environment that it was trained in.
        agent_config: norm_obs_clip.

    Raises:
        DataError: the file is not a model.
        ConfigError: the environment is another one.
    """
    config = env_file.env
    character = load_character(resolve(config.char_file))
    model = read_model_file(model_file)
    agent = build_agent(model, agent_config.norm_obs_clip)
    task = TaskTensors(config, character, torch.device("cpu"))
    layout = ObservationLayout.of(config, task, Kinematics(character, torch.device("cpu")))
    actions = ActionMap(character, config.action_mode, config.residual_action_scale)
    sizes = int(model.state["_obs_norm._mean"].shape[0]), int(model.state["_a_norm._mean"].shape[0])
    if sizes != (layout.dim, character.dof_size):
        raise ConfigError(
            f"{model_file}: takes {sizes[0]} observations and gives {sizes[1]} actions, the environment has "
            f"{layout.dim} and {character.dof_size}; export with the dm_env.yaml beside the model"
        )
    own = {
        "_a_norm._mean": 0.5 * (actions.high + actions.low),
        "_a_norm._std": 0.5 * (actions.high - actions.low),
    }
    check_actions(model.path, model.state, own)
    residual = config.action_mode == RESIDUAL
    inputs = {"obs": layout.dim}
    if residual:
        inputs.update(ref_dof_pos=character.dof_size, ref_dof_vel=character.dof_size)
    metadata = {
        "format": FORMAT,
        "parc_tracker": __version__,
        "model_sha256": sha256_file(model_file),
        "observation": _observation(env_file, layout, character),
        "action": _action(character, actions),
        "joints": _joints(character),
        "bodies": list(character.body_names),
        "rates": {
            "control_hz": config.control_freq,
            "physics_hz": config.control_freq * env_file.physics_steps_per_control_step,
        },
        "conventions": _CONVENTIONS,
    }
    module = (_Residual if residual else _Absolute)(agent, actions).eval()
    return Policy(module, inputs, metadata)


def _observation(env_file: EnvFileConfig, layout: ObservationLayout, character: Character) -> Dict[str, Any]:
    """What each number of the observation is."""
    config = env_file.env
    places = [(segment, layout.slices[segment.name]) for segment in layout.segments]
    starts = sorted(layout.target_starts.items(), key=lambda item: item[1])
    ends = [start for _, start in starts[1:]] + [layout.target_width]
    return {
        "size": layout.dim,
        "segments": [
            {"name": s.name, "start": place.start, "end": place.stop, "normalized": s.normalized}
            for s, place in places
        ],
        "targets": {
            "control_steps_ahead": list(config.tar_obs_steps),
            "width": layout.target_width,
            "segments": [{"name": n, "start": start, "end": end} for (n, start), end in zip(starts, ends)],
        },
        "key_bodies": list(config.key_bodies),
        "global_obs": config.global_obs,
        "height_points": {
            name: getattr(config, name)
            for name in (
                "ray_dx",
                "ray_num_left",
                "ray_num_right",
                "ray_angle",
                "ray_points_behind",
                "ray_points_ahead",
            )
        },
        "contact_force_above_n": config.contact_detection_eps,
    }


def _action(character: Character, actions: ActionMap) -> Dict[str, Any]:
    """How actions become PD targets."""
    how = {
        "mode": actions.mode,
        "low": actions.low.tolist(),
        "high": actions.high.tolist(),
        "pd_targets": "clamp(action, low, high)",
    }
    if actions.mode == RESIDUAL:
        how["pd_targets"] = "ref_dof_pos + lead_s * ref_dof_vel + clamp(action, low, high)"
        how["lead_s"] = actions.lead.tolist()
        how["ref"] = "dofs and their velocities of the reference at the end of the control step that begins"
    return how


def _joints(character: Character) -> List[Dict[str, Any]]:
    """The driven joints in the order of their dofs, with gains and limits for each dof."""
    joints = []
    for b, (name, kind) in enumerate(zip(character.joint_names, character.joint_types)):
        start = int(character.joint_dof_idx[b])
        dofs = slice(start, start + int(character.joint_dof_dim[b]))
        if dofs.stop == dofs.start:
            continue
        numbers = {
            "kp": character.kp,
            "kd": character.kd,
            "effort_nm": character.effort,
            "armature": character.armature,
            "lower_rad": character.dof_lower,
            "upper_rad": character.dof_upper,
        }
        joint = {"name": name, "body": character.body_names[b], "type": kind, "dofs": [dofs.start, dofs.stop]}
        if kind == "HINGE":
            joint["axis"] = character.joint_axis[b].tolist()
        joints.append({**joint, **{key: values[dofs].tolist() for key, values in numbers.items()}})
    return joints


def write_torchscript(policy: Policy, path: PathLike) -> None:
    """Writes a TorchScript file; `torch.jit.load(path, _extra_files={"parc_tracker.json": ""})` reads the metadata."""
    with _quiet(), torch.no_grad():
        traced = torch.jit.trace(policy.module, _example(policy))
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer, _extra_files={f"{METADATA}.json": json.dumps(policy.metadata)})
    write_bytes(path, buffer.getvalue())


def write_onnx(policy: Policy, path: PathLike) -> None:
    """Writes an ONNX file, weights inside, whose `metadata_props` hold the metadata under `parc_tracker`.

    Raises:
        ConfigError: the packages for it are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise ConfigError(
            f"ONNX: the package {error.name} is not installed; {install_extra('export')}"
        ) from None
    batch = torch.export.Dim("batch")
    names = list(policy.inputs)
    with _quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            policy.module,
            _example(policy),
            dynamo=True,
            verbose=False,
            input_names=names,
            output_names=["pd_targets", "action"],
            dynamic_shapes=tuple({0: batch} for _ in names),
        )
    content = program.model_proto
    onnx.helper.set_model_props(content, {METADATA: json.dumps(policy.metadata)})
    onnx.checker.check_model(content)
    write_bytes(path, content.SerializeToString())


def _example(policy: Policy) -> Tuple[Tensor, ...]:
    return tuple(torch.zeros(_BATCH, width) for width in policy.inputs.values())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What the exporters say of their own parts says nothing of the file."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def read_metadata(path: PathLike) -> Dict[str, Any]:
    """The metadata of an exported file, by its suffix (`.onnx`, else TorchScript)."""
    if Path(path).suffix == ".onnx":
        import onnx

        props = onnx.load(str(path), load_external_data=False).metadata_props
        return dict(json.loads(next(each.value for each in props if each.key == METADATA)))
    extra = {f"{METADATA}.json": ""}
    torch.jit.load(str(path), _extra_files=extra)
    return dict(json.loads(extra[f"{METADATA}.json"]))
