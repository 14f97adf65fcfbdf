"""Devices that are no devices are said in one line."""

from __future__ import annotations

import sys

import pytest
import torch

from parc_core.config.agent_config import ModelConfig
from parc_core.engines.devices import check_device
from parc_core.errors import ConfigError, DataError
from parc_core.learning.agent import Agent
from parc_core.learning.model_file import write_model_file
from parc_core.learning.networks import ActorCritic
from parc_core.learning.normalizer import Normalizer
from parc_core.supervisor.preflight import check_runnable
from tests.pipeline_fixtures import change


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:", "cpu:one", ""])
def test_what_is_no_device_name_is_refused(device):
    with pytest.raises(
        ConfigError, match=r"^--device: 'device' is '.*', but must be cpu, cuda or cuda:<number>$"
    ):
        check_device(device, "--device")


def test_the_device_of_a_name(monkeypatch):
    assert check_device("cpu") == torch.device("cpu") and check_device(torch.device("cpu")).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert check_device("cuda") == torch.device("cuda")
    assert check_device("cuda:1", "--device") == torch.device("cuda:1")
    with pytest.raises(
        ConfigError, match=r"^'device' is 'cuda:2', but there are 2 GPUs; use cuda:0 to cuda:1$"
    ):
        check_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ConfigError, match=r"^t: 'device' is 'cuda', but PyTorch finds no CUDA GPU here; set "
    ):
        check_device("cuda", "t")


def test_several_gpus_from_a_device_on(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    assert check_device("cuda", "", 3) == torch.device("cuda")
    assert check_device("cuda:1", "", 2) == torch.device("cuda:1")
    with pytest.raises(
        ConfigError, match=r"^t: 'gpus' is 4, but there are 3 GPUs from cuda:0 on; set it to 3 or less$"
    ):
        check_device("cuda", "t", 4)
    with pytest.raises(
        ConfigError,
        match=r"^'gpus' is 2, but there is 1 GPU from cuda:2 on; set it to 1 or less, or a lower device than "
        r"'cuda:2'$",
    ):
        check_device("cuda:2", "", 2)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: False)
    assert check_device("cuda:2") == torch.device("cuda:2")
    with pytest.raises(ConfigError, match=r"^'gpus' is 2, but this PyTorch has no nccl, .* set 'gpus: 1'"):
        check_device("cuda:0", "", 2)


def test_processes_on_the_cpu_talk_through_gloo(monkeypatch):
    assert check_device("cpu", "", 64) == torch.device("cpu")
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    assert check_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match=r"^'gpus' is 2, but this PyTorch has no gloo"):
        check_device("cpu", "", 2)


def test_more_gpus_than_there_are_are_refused_before_the_merge(tracker_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    config = change(tracker_config, device="cuda:0", gpus=4, num_envs=8)
    with pytest.raises(ConfigError, match=r"'gpus' is 4, but there are 2 GPUs from cuda:0 on"):
        check_runnable(config)
    with pytest.raises(ConfigError, match=r"'device' is 'cuda:0', but PyTorch finds no CUDA GPU"):
        check_runnable(change(config, trainer_python=sys.executable))  # asked there


def test_a_pipelined_training_on_several_gpus_is_refused_before_the_merge(tracker_config, tmp_path):
    agent = tmp_path / "pipelined.yaml"
    agent.write_text("pipelined: true\n")
    config = change(tracker_config, agent_config=str(agent))
    check_runnable(config)
    with pytest.raises(
        ConfigError, match=r"^pipelined: .* and here are 2: set pipelined: false, or gpus: 1$"
    ):
        check_runnable(change(config, gpus=2, num_envs=8))


def test_heeding_evaluations_that_are_never_made_is_refused_before_the_merge(tracker_config, tmp_path):
    env = tmp_path / "boosting.yaml"
    env.write_text("env_name: ig_parkour\nenv: {dm: {hard_motion_boost: 4.0}}\n")
    agent = tmp_path / "evaluated.yaml"
    agent.write_text("iters_per_evaluation: 5\n")
    config = change(tracker_config, env_config=str(env))
    with pytest.raises(
        ConfigError, match=r"boosting.yaml: 'env.dm.hard_motion_boost' needs .* evaluations; set"
    ):
        check_runnable(config)
    check_runnable(change(config, agent_config=str(agent)))


def test_an_engine_that_does_not_exist_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "t.yaml").write_text("dataset_file: a\nengine: physx\n")
    with pytest.raises(
        ConfigError, match=r"t\.yaml: 'engine' must be one of auto, mujoco, .*, but is 'physx'$"
    ):
        check_runnable(tmp_path / "t.yaml")


def test_a_model_that_cannot_start_the_training_is_refused_before_the_merge(tracker_config, tmp_path):
    model = tmp_path / "parent.pt"
    config = change(tracker_config, in_model_file=str(model))
    model.write_text("not a model")
    with pytest.raises(DataError, match=r"parent\.pt: not readable as a PyTorch file"):
        check_runnable(config)
    for widths, fits in (([64, 32], True), ([32], False)):
        nets = ActorCritic(10, 28, widths, widths, ModelConfig().actor_std_type)
        write_model_file(model, Agent(nets, Normalizer(10), Normalizer(28)))
        if fits:
            assert check_runnable(config).in_model_file == str(model)
        else:
            with pytest.raises(
                ConfigError, match=r"parent\.pt: holds another architecture \(.*actor 32,.*actor 64-32"
            ):
                check_runnable(config)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("gate", {"min_complted": 0.9}, r"gate 'min_complted': write min_… or max_… with one of completed, "),
        ("gate", {"least_completed": 0.9}, r"gate 'least_completed': write min_… or max_… with one of "),
        ("gate", {"min_completed": 90}, r"gate 'min_completed' is 90.*, but must be a share from 0 to 1$"),
        ("gate", {"min_end_reasons": 1}, r"gate 'min_end_reasons': write min_… or max_… with one of "),
        (
            "record_limits",
            {"jerk": 1},
            r"'record_limits': there is no metric 'jerk'; there are joint_error_m, ",
        ),
        ("record_limits", {"jerk_m_s3": -1}, r"'record_limits': jerk_m_s3 is -1"),
    ],
)
def test_limits_that_are_needed_after_the_training_alone_are_checked_before_it(
    tracker_config, key, value, told
):
    with pytest.raises(ConfigError, match=told):
        check_runnable(change(tracker_config, **{key: value}))


def test_every_number_of_an_evaluation_can_be_in_a_gate(tracker_config):
    gate = {"min_completed": 0.9, "max_joint_error_completed_m": 0.08, "min_mean_steps": 3, "max_clips": 9}
    assert check_runnable(change(tracker_config, gate=gate)).gate == gate
