"""The three files of a run, and whether a config can run at all."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch
import yaml

from parc_core.config import paths
from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import load_env_config
from parc_core.config.resolve import emit_configs
from parc_core.config.tracker_config import load_tracker_config
from parc_core.config.train_args import read_train_args
from parc_core.errors import ConfigError
from parc_core.supervisor.preflight import check_runnable, check_writable, tracker_warnings

DEFAULT = "data/configs/parc_3_tracker_default.yaml"
SHIPPED = [DEFAULT, *(f"data/configs/{kind}/tracker.yaml" for kind in ("cpu", "demo", "gpu"))]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another working folder, DATA_DIR unset, no user_config.yaml in reach."""
    monkeypatch.delenv("DATA_DIR", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(paths, "USER_CONFIG", "no_such_user_config.yaml")
    return tmp_path


@pytest.fixture
def data(elsewhere, monkeypatch):
    """A data folder with a dataset and one class of motions, named by DATA_DIR."""
    folder = elsewhere / "data"
    (folder / "motions" / "walk").mkdir(parents=True)
    (folder / "motions.yaml").write_text("motions: []\n")
    monkeypatch.setenv("DATA_DIR", str(folder))
    return folder


def one_line(call, *args):
    with pytest.raises(ConfigError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("config", SHIPPED)
def test_shipped_configs_emit_and_read_back(config, data, elsewhere):
    tracker = load_tracker_config(config)
    out = elsewhere / "out"
    files = emit_configs(tracker, data / "motions.yaml", out)
    assert os.listdir(out) == [".trainer"]  # nothing that a training already there has written
    assert (
        sorted(os.listdir(out / ".trainer"))
        == sorted(files)
        == ["agent_config.yaml", "dm_env.yaml", "train_args.txt"]
    )

    env_file = load_env_config(files["dm_env.yaml"])
    given = load_env_config(tracker.env_config)
    assert env_file.env.dm.motion_file == str(data / "motions.yaml")
    assert env_file.env.dm.terrain_save_path == str(out / "terrain.pkl")
    unset = dataclasses.replace(env_file.env.dm, motion_file=None, terrain_save_path=None)
    assert dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, dm=unset)) == given
    assert load_agent_config(files["agent_config.yaml"]) == load_agent_config(tracker.agent_config)

    args = read_train_args(files["train_args.txt"])
    assert args.output_dir == str(out)
    assert (args.env_config, args.agent_config) == (
        str(files["dm_env.yaml"]),
        str(files["agent_config.yaml"]),
    )
    for name in ("num_envs", "max_samples", "device", "gpus", "engine", "seed", "in_model_file"):
        assert getattr(args, name) == getattr(tracker, name), name
    assert args.ignored == ()
    assert tracker_warnings(tracker) == []


def test_new_trainings_are_residual_and_parcs_are_absolute():
    modes = [load_env_config(load_tracker_config_text(c)).env.action_mode for c in SHIPPED]
    assert modes == ["absolute", "residual", "residual", "residual"]


def load_tracker_config_text(config):
    return yaml.safe_load(paths.resolve(config).read_text())["env_config"]


def test_emitted_files_say_every_key_and_hold_no_anchors(data, elsewhere):
    files = emit_configs(load_tracker_config(DEFAULT), data / "motions.yaml", elsewhere / "out")
    text = files["dm_env.yaml"].read_text()
    assert "&id" not in text
    assert "char_file: data/assets/humanoid.xml\n" in text
    assert set(yaml.safe_load(text)) == {"env_name", "env", "sim"}
    assert yaml.safe_load(text)["env"]["contact_weights"] == [5.0] * 15


def test_emitting_twice_writes_the_same_bytes(data, elsewhere):
    tracker = load_tracker_config(DEFAULT)
    first = {
        n: p.read_bytes() for n, p in emit_configs(tracker, data / "motions.yaml", elsewhere / "o").items()
    }
    second = {
        n: p.read_bytes() for n, p in emit_configs(tracker, data / "motions.yaml", elsewhere / "o").items()
    }
    assert first == second


def test_fine_tuning_keeps_the_models_normalizer(data, elsewhere):
    model = elsewhere / "model.pt"
    model.write_bytes(b"x")
    tracker = dataclasses.replace(load_tracker_config(DEFAULT), in_model_file=str(model))
    files = emit_configs(tracker, data / "motions.yaml", elsewhere / "out")
    assert load_agent_config(files["agent_config.yaml"]).normalizer_samples == 0
    assert read_train_args(files["train_args.txt"]).in_model_file == str(model)


def test_emit_names_what_is_missing(data, elsewhere):
    tracker = load_tracker_config(DEFAULT)
    out = elsewhere / "out"
    assert "'dataset_file' names" in one_line(emit_configs, tracker, data / "none.yaml", out)
    broken = dataclasses.replace(tracker, in_model_file="none.pt")
    assert "'in_model_file' names" in one_line(emit_configs, broken, data / "motions.yaml", out)
    (elsewhere / "env.yaml").write_text("env: {char_file: nobody.xml}\n")
    broken = dataclasses.replace(tracker, env_config=str(elsewhere / "env.yaml"))
    assert "'env.char_file' names" in one_line(emit_configs, broken, data / "motions.yaml", out)
    assert not out.exists()


def test_output_that_cannot_be_written(data, elsewhere):
    (elsewhere / "file").write_text("")
    text = one_line(
        emit_configs, load_tracker_config(DEFAULT), data / "motions.yaml", elsewhere / "file" / "out"
    )
    assert "cannot be written" in text


def test_default_without_data_dir(elsewhere):
    text = one_line(check_runnable, DEFAULT)
    assert "DATA_DIR is not set" in text
    assert "environment variable" in text


def test_default_without_the_dataset(data):
    (data / "motions.yaml").unlink()
    text = one_line(check_runnable, DEFAULT)
    assert "'dataset_file' names" in text
    assert str(data / "motions.yaml") in text


def test_default_without_cuda(data, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    text = one_line(check_runnable, DEFAULT)
    assert "'device' is 'cuda:0'" in text
    assert "device: cpu" in text


def test_a_gpu_that_is_not_there(data, elsewhere, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    (elsewhere / "t.yaml").write_text("dataset_file: $DATA_DIR/motions.yaml\ndevice: cuda:2\n")
    assert "use cuda:0 to cuda:1" in one_line(check_runnable, elsewhere / "t.yaml")
    assert check_runnable(DEFAULT).device == "cuda:0"


def test_cpu_config_runs_where_the_data_are(data):
    assert check_runnable("data/configs/cpu/tracker.yaml").device == "cpu"
    assert not (data.parent / "work" / "output").exists()  # asking leaves nothing behind


def test_cpu_config_without_motions(data):
    (data / "motions" / "walk").rmdir()
    (data / "motions").rmdir()
    assert "'folder_paths' names" in one_line(check_runnable, "data/configs/cpu/tracker.yaml")


def test_writable_looks_at_the_nearest_folder(elsewhere):
    check_writable(elsewhere / "a" / "b", "output_dir", "t.yaml")
    (elsewhere / "file").write_text("")
    assert "cannot be written" in one_line(check_writable, elsewhere / "file" / "b", "output_dir", "t.yaml")


def test_keys_without_effect_are_said_with_their_file(data, elsewhere):
    (elsewhere / "env.yaml").write_text("env: {demo_mode: true}\n")
    (elsewhere / "agent.yaml").write_text("debug_log: true\n")
    (elsewhere / "t.yaml").write_text(
        f"env_config: {elsewhere}/env.yaml\nagent_config: {elsewhere}/agent.yaml\ndataset_file: m.yaml\n"
    )
    lines = tracker_warnings(load_tracker_config(elsewhere / "t.yaml"))
    assert [line.split(" has no effect")[0] for line in lines] == [
        f"{elsewhere}/env.yaml: 'env.demo_mode'",
        f"{elsewhere}/agent.yaml: 'debug_log'",
    ]
