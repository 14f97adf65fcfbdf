"""The command line: what a user can fix is one line and an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.formats.container import read_motion_terrain
from parc_tracker.embedded_server import EmbeddedServer
from parc_tracker.main import app
from tests.pipeline_fixtures import PROBE


def invoke(*args: str):
    return CliRunner().invoke(app, list(args))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA_DIR", raising=False)


@pytest.mark.parametrize("command", ["run", "train"])
def test_the_default_config_says_what_to_set(command):
    result = invoke(command)
    assert result.exit_code == 78
    assert result.stderr.count("\n") == 1
    assert "DATA_DIR is not set" in result.stderr


def test_parcs_command_says_the_same_without_a_config(tmp_path):
    script = PROJECT_ROOT / "scripts" / "parc_3_tracker.py"
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 78
    assert result.stderr.count("\n") == 1
    assert "DATA_DIR is not set" in result.stderr


def test_an_unknown_key_names_the_nearest(tmp_path):
    (tmp_path / "t.yaml").write_text("num_env: 5\ndataset_file: x.yaml\n")
    result = invoke("train", "--config", "t.yaml")
    assert result.exit_code == 78
    assert "num_envs" in result.stderr


def test_config_and_arg_file_exclude_each_other():
    assert invoke("train", "--config", "a", "--arg_file", "b").exit_code == 78


@pytest.mark.parametrize(
    "options",
    [
        ("--max-concurrent-runs", "3", "--heartbeat-timeout", "120"),
        ("--trainings-at-once", "3", "--dead-after", "120"),
        ("--trainings-at-once=3", "--dead-after=120"),
    ],
)
def test_deploy_takes_its_options_by_their_earlier_names_too(monkeypatch, options):
    given = []
    monkeypatch.setattr("parc_tracker.deploy.run_deploy", lambda *values: given.append(values))
    assert invoke("deploy", *options).exit_code == 0
    [(_, pool, max_concurrent_runs, _, _, heartbeat_timeout, *_)] = given
    assert (pool, max_concurrent_runs, heartbeat_timeout) == ("parc", 3, 120)


def test_earlier_names_are_not_shown():
    shown = invoke("deploy", "--help").output
    assert "--heartbeat-timeout" in shown
    assert "--max-concurrent-runs" in shown
    assert "--dead-after" not in shown
    assert "--trainings-at-once" not in shown


def test_a_missing_model_is_bad_data(tmp_path):
    (tmp_path / "dm_env.yaml").write_text("env_name: ig_parkour\nenv: {}\n")
    result = invoke("eval", "--model", "model.pt")
    assert result.exit_code in (65, 78)
    assert result.stderr.startswith("error: ")


def test_make_motions_writes_folders_of_kinds(tmp_path):
    result = invoke("make-motions", "--kind", "stand", "--count", "1", "--seed", "3", "--out", "m")
    assert result.exit_code == 0, result.output
    assert read_motion_terrain(tmp_path / "m" / "stand" / "stand_3.pkl").motion is not None
    assert invoke("make-motions", "--kind", "wlak").exit_code == 78


def test_doctor_has_one_line_for_each_check():
    result = invoke("doctor")
    assert result.exit_code == 0, result.output
    assert all(line.split()[0] in ("ok", "no") for line in result.output.splitlines())
    assert "PyTorch" in result.output


def test_set_seed_and_output_dir_reach_the_training(tracker_config, monkeypatch, tmp_path):
    from parc_core.supervisor import local_training

    seen = []

    def trained(config, listener):
        seen.append(local_training.check_runnable(config))
        return tmp_path

    monkeypatch.setattr(local_training, "train_from_config", trained)
    options = ("--set", "num_envs=16", "--set", "desired_kl=0.02", "--seed", "5", "--output-dir", "new out")
    result = invoke("train", "--config", str(tracker_config), *options)
    assert result.exit_code == 0, result.output
    [tracker] = seen
    assert (tracker.num_envs, tracker.seed, tracker.output_dir) == (16, 5, str(tmp_path / "new out"))
    agent = yaml.safe_load(Path(tracker.agent_config).read_text())
    assert agent["optimizer"]["desired_kl"] == 0.02
    assert agent["model"]["actor_net"] == "fc_2layers_64units"  # the file's own


def test_a_run_takes_the_same_options(tracker_config, monkeypatch):
    from parc_tracker import flow

    seen = []
    monkeypatch.setattr(flow, "run_flow", lambda config, *_: seen.append(config))
    monkeypatch.setattr(flow, "show_result", lambda *_: None)
    assert invoke("run", "--config", str(tracker_config), "--set", "max_samples=64").exit_code == 0
    assert yaml.safe_load(seen[0].read_text())["max_samples"] == 64


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_misspelt_setting_names_the_nearest(tracker_config, command):
    result = invoke(command, "--config", str(tracker_config), "--set", "num_env=3")
    assert result.exit_code == 78
    assert result.stderr == "error: --set: unknown key 'num_env'; the nearest known key is 'num_envs'\n"


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_a_seed_out_of_range_is_named_as_it_was_given(tracker_config, seed):
    result = invoke("train", "--config", str(tracker_config), "--seed", seed)
    assert result.exit_code != 0 and "--seed" in result.stderr and "--set" not in result.stderr


def test_an_arg_file_takes_no_settings():
    assert invoke("train", "--arg-file", "train_args.txt", "--seed", "3").exit_code == 78


def test_sigterm_ends_a_training_with_75(tmp_path):
    """`train` in a process of its own, its trainer played by a script that leaves at SIGTERM."""
    trainer = tmp_path / "python"
    trainer.write_text(
        f"#!/bin/sh\n{PROBE}"
        "trap 'touch stopped; exit 75' TERM\necho '{\"event\": \"start\"}' > out/progress.jsonl\n"
        "while true; do sleep 0.1; done\n"
    )
    trainer.chmod(0o755)
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"motions": [{"file": "none.pkl", "weight": 1}]}))
    tracker = {
        "env_config": str(PROJECT_ROOT / "data/configs/demo/env.yaml"),
        "agent_config": str(PROJECT_ROOT / "data/configs/demo/agent.yaml"),
        "dataset_file": "data.yaml",
        "output_dir": "out",
        "device": "cpu",
        "trainer_python": str(trainer),
    }
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(tracker))
    process = subprocess.Popen(
        [sys.executable, "-m", "parc_tracker.main", "train", "--config", "t.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
    )
    wait_for(tmp_path / "out" / "progress.jsonl", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 75
    assert (tmp_path / "stopped").exists()


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_misspelt_stage_is_refused_before_a_server_starts(tracker_config, monkeypatch):
    def start(_server):
        raise AssertionError("a server was started")

    monkeypatch.setattr(EmbeddedServer, "start", start)
    result = CliRunner().invoke(app, ["run", "--config", str(tracker_config), "--refresh", "evalute"])
    assert result.exit_code == 78
    assert "no stage 'evalute'; do you mean 'evaluate'?" in result.stderr
    assert result.stderr.count("\n") == 1
