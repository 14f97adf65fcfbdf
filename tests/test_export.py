"""Exported policies give the policy's own numbers, and say how they are to be used."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys

import pytest
import torch
from typer.testing import CliRunner

from parc_core.character.mjcf import load_character
from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.resolve import write_yaml
from parc_core.envs.actions import ActionMap
from parc_core.errors import ConfigError
from parc_core.export import read_metadata, read_policy, write_onnx, write_torchscript
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import build_agent, read_model_file, write_model_file
from parc_tracker.main import app
from tests.api.conftest import NETS, model, walks
from tests.envs.scenes import HUMANOID, env_file, env_of

__all__ = ["model", "walks"]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def absolute(walks, tmp_path_factory):
    """A model whose actions are PD targets, some of them out of bounds."""
    folder = tmp_path_factory.mktemp("absolute")
    env = env_of(walks / "motions.yaml", 1)
    agent = make_agent(env, dataclasses.replace(NETS, actor_init_output_scale=1.0), norm_obs_clip=10.0)
    write_model_file(folder / "model.pt", agent)
    write_yaml(folder / "dm_env.yaml", env_file(walks / "motions.yaml"))
    return folder / "model.pt"


@pytest.fixture(scope="module")
def normed(walks, tmp_path_factory):
    """The same with layer normalization and another activation."""
    folder = tmp_path_factory.mktemp("normed")
    nets = dataclasses.replace(NETS, actor_init_output_scale=0.2, activation="gelu", layer_norm=True)
    write_model_file(folder / "model.pt", make_agent(env_of(walks / "motions.yaml", 1), nets, 10.0))
    write_yaml(folder / "dm_env.yaml", env_file(walks / "motions.yaml"))
    return folder / "model.pt"


def policy_of(file):
    agent = file.parent / "agent_config.yaml"
    config = load_agent_config(agent if agent.is_file() else "data/configs/parc_3_tracker/agent_default.yaml")
    return read_policy(file, load_env_config(file.parent / "dm_env.yaml"), config)


def expected(file, inputs):
    """The policy's action, and the PD targets that the environment makes of it."""
    config = load_env_config(file.parent / "dm_env.yaml").env
    agent_file = file.parent / "agent_config.yaml"
    clip = load_agent_config(agent_file).norm_obs_clip if agent_file.is_file() else 10.0
    action = build_agent(read_model_file(file), clip).act_mode(inputs[0].clone())
    actions = ActionMap(load_character(HUMANOID), config.action_mode, config.residual_action_scale)
    ref = inputs[1:] or (torch.zeros_like(action), torch.zeros_like(action))
    return actions.targets(action, *ref), action


def inputs_of(policy, rows):
    """Observations that exceed the normalizer's clip here and there."""
    generator = torch.Generator().manual_seed(rows)
    return tuple(3.0 * torch.randn(rows, width, generator=generator) for width in policy.inputs.values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["model", "absolute", "normed"])
def test_onnx_gives_the_policys_numbers(kind, request, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    file = request.getfixturevalue(kind)
    policy = policy_of(file)
    write_onnx(policy, tmp_path / "p.onnx")
    session = runtime.InferenceSession(str(tmp_path / "p.onnx"), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == list(policy.inputs)
    assert json.loads(session.get_modelmeta().custom_metadata_map["parc_tracker"]) == policy.metadata
    for rows in (1, 7):
        inputs = inputs_of(policy, rows)
        fed = {name: value.numpy() for name, value in zip(policy.inputs, inputs, strict=True)}
        found = session.run(["pd_targets", "action"], fed)
        for got, wanted in zip(found, expected(file, inputs), strict=True):
            torch.testing.assert_close(torch.from_numpy(got), wanted, atol=TOLERANCE, rtol=0.0)
    if kind == "absolute":
        assert (found[0] != found[1]).any()  # clamped
    assert [path.name for path in tmp_path.iterdir()] == ["p.onnx"]


@pytest.mark.parametrize("kind", ["model", "absolute", "normed"])
def test_torchscript_gives_the_policys_numbers(kind, request, tmp_path):
    file = request.getfixturevalue(kind)
    policy = policy_of(file)
    write_torchscript(policy, tmp_path / "p.ts")
    loaded = torch.jit.load(tmp_path / "p.ts")
    for rows in (1, 7):
        inputs = inputs_of(policy, rows)
        for got, wanted in zip(loaded(*inputs), expected(file, inputs), strict=True):
            torch.testing.assert_close(got, wanted, atol=TOLERANCE, rtol=0.0)
    assert not any("critic" in name for name in loaded.state_dict())
    assert read_metadata(tmp_path / "p.ts") == policy.metadata


def test_the_targets_are_those_of_the_environment_itself(model, walks, tmp_path, monkeypatch):
    """A step of the environment gets from the policy's action the targets that the file gives."""
    policy = policy_of(model)
    env = env_of(walks / "motions.yaml", 2, action_mode="residual")
    obs = env.reset()
    given = []
    step = env.engine.step
    monkeypatch.setattr(env.engine, "step", lambda targets: (given.append(targets.clone()), step(targets)))
    _, action = policy.module(obs, torch.zeros(2, 28), torch.zeros(2, 28))
    env.step(action)
    ref = env.reference()
    targets, _ = policy.module(obs, ref.dof_pos, ref.pose.dof_vel)
    torch.testing.assert_close(targets, given[0], atol=TOLERANCE, rtol=0.0)


def test_the_metadata_says_what_observation_joints_and_rates_are(model):
    data = policy_of(model).metadata
    segments = data["observation"]["segments"]
    assert [segments[0]["start"], segments[-1]["end"], data["observation"]["size"]] == [0, 1312, 1312]
    assert all(one["end"] == other["start"] for one, other in itertools.pairwise(segments))
    targets = data["observation"]["targets"]
    steps = len(targets["control_steps_ahead"])
    width = next(s["end"] - s["start"] for s in segments if s["name"] == "targets")
    assert width == steps * targets["width"] == steps * targets["segments"][-1]["end"]
    character = load_character(HUMANOID)
    assert data["bodies"] == character.body_names
    assert [dof for joint in data["joints"] for dof in range(*joint["dofs"])] == list(range(28))
    assert [kp for joint in data["joints"] for kp in joint["kp"]] == character.kp.tolist()
    assert [kd for joint in data["joints"] for kd in joint["kd"]] == character.kd.tolist()
    assert data["rates"] == {"control_hz": 30, "physics_hz": 120}
    assert data["action"]["mode"] == "residual"


@pytest.mark.slow
def test_the_command_writes_both_and_says_what_they_take(model, tmp_path):
    pytest.importorskip("onnxscript")
    files = ["--onnx", str(tmp_path / "p.onnx"), "--torchscript", str(tmp_path / "p.ts")]
    result = CliRunner().invoke(app, ["export", str(model), *files])
    assert result.exit_code == 0, result.output
    assert (
        "obs (N, 1312), ref_dof_pos (N, 28), ref_dof_vel (N, 28) -> pd_targets, action (N, 28)"
        in result.output
    )
    assert read_metadata(tmp_path / "p.onnx") == read_metadata(tmp_path / "p.ts")


def test_what_cannot_be_exported_is_one_line(model, tmp_path, monkeypatch):
    def said(*args):
        result = CliRunner().invoke(app, ["export", *args])
        assert result.exit_code == 78
        assert result.stderr.count("\n") == 1
        return result.stderr

    assert "give --onnx FILE or --torchscript FILE" in said(str(model))
    assert "nothing.pt" in said("nothing.pt", "--onnx", "x.onnx")
    other = tmp_path / "absolute.yaml"
    env = load_env_config(model.parent / "dm_env.yaml")
    write_yaml(other, dataclasses.replace(env, env=dataclasses.replace(env.env, action_mode="absolute")))
    assert "action_mode" in said(str(model), "--torchscript", "x.ts", "--env-config", str(other))
    write_yaml(other, dataclasses.replace(env, env=dataclasses.replace(env.env, tar_obs_steps=[1])))
    assert "takes 1312 observations" in said(str(model), "--torchscript", "x.ts", "--env-config", str(other))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert f"pip install -e '{PROJECT_ROOT}[export]'" in said(str(model), "--onnx", str(tmp_path / "x.onnx"))
    with pytest.raises(ConfigError):
        write_onnx(policy_of(model), tmp_path / "x.onnx")
