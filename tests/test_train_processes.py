"""`python -m parc_core.train --gpus 2` on the CPU, as a whole: started by torchrun's agent, stopped, harmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.synthetic.dataset import make_dataset
from tests.training.test_trainer import events

pytestmark = pytest.mark.slow
NEVER = 10**9


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    files = make_dataset(["stand", "squat"], 1, 0, folder / "motions", max_seconds=1.5)
    (folder / "motions.yaml").write_text(
        yaml.safe_dump({"motions": [{"file": str(file), "weight": 1.0} for file in files]})
    )
    env = {"env_name": "ig_parkour", "env": {"dm": {"motion_file": str(folder / "motions.yaml")}}}
    (folder / "env.yaml").write_text(yaml.safe_dump(env))
    agent = yaml.safe_load((PROJECT_ROOT / "data/configs/cpu/agent.yaml").read_text())
    agent.update(iters_per_output=1, iters_per_checkpoint=2, test_episodes=0, use_tensorboard=False)
    (folder / "agent.yaml").write_text(yaml.safe_dump(agent))
    return folder


def start(configs: Path, out: Path, samples: int, *more: str, launcher: tuple = ("-m", "parc_core.train")):
    arguments = {
        "env_config": configs / "env.yaml", "agent_config": configs / "agent.yaml", "output_dir": out,
        "device": "cpu", "engine": "mujoco", "num_envs": 4, "max_samples": samples,
    }  # fmt: skip
    tokens = [text for key, value in arguments.items() for text in (f"--{key}", str(value))]
    env = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, *tokens, *more]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(out: Path, kind: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while not (out / "progress.jsonl").is_file() or not events(out, kind):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.1)


def ranks(process: subprocess.Popen) -> dict:
    """Process number by rank of the launcher's children."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        variables = dict(entry.partition(b"=")[::2] for entry in environment)
        if parent == process.pid and b"RANK" in variables:
            found[int(variables[b"RANK"])] = int(folder.name)
    return found


def gone(pids, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def test_gpus_trains_in_so_many_processes(configs, tmp_path):
    process = start(configs, tmp_path / "out", 512, "--gpus", "2")
    said, warned = process.communicate(timeout=180)
    assert process.returncode == 0, warned
    (begin,) = events(tmp_path / "out", "start")
    assert (begin["num_envs"], begin["processes"]) == (4, 2)
    assert [event["samples"] for event in events(tmp_path / "out", "output")] == [128, 256, 384, 512]
    assert said.count("samples/s") == 1  # one table
    assert "--gpus 2\n" in (tmp_path / "out" / "train_args.txt").read_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"model.pt", "log.txt", "terrain.pkl"}


def test_torchrun_by_hand(configs, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "parc_core.train")
    process = start(configs, tmp_path / "out", 256, launcher=launcher)
    _, warned = process.communicate(timeout=180)
    assert process.returncode == 0, warned
    assert events(tmp_path / "out", "start")[0]["processes"] == 2


@pytest.mark.parametrize("whom", ["launcher", 0, 1])
def test_sigterm_stops_all_in_order(whom, configs, tmp_path):
    out = tmp_path / "out"
    process = start(configs, out, NEVER, "--gpus", "2")
    until(out, "output", process)
    children = ranks(process)
    assert sorted(children) == [0, 1]
    os.kill(process.pid if whom == "launcher" else children[whom], signal.SIGTERM)
    _, warned = process.communicate(timeout=60)
    assert process.returncode == 75, warned
    assert gone(children.values(), 1.0)
    (stop,) = events(out, "interrupted")
    assert events(out, "checkpoint")[-1]["samples"] == stop["samples"] > 0


@pytest.mark.parametrize(("rank", "number"), [(0, signal.SIGKILL), (1, signal.SIGKILL), (1, signal.SIGSTOP)])
def test_all_end_when_one_is_gone(rank, number, configs, tmp_path):
    out = tmp_path / "out"
    process = start(configs, out, NEVER, "--gpus", "2")
    until(out, "checkpoint", process)
    children = ranks(process)
    began = time.monotonic()
    os.kill(children[rank], number)
    _, warned = process.communicate(timeout=60)
    assert time.monotonic() - began < 30.0
    assert process.returncode not in (0, 75, 65, 78), warned
    assert gone(children.values(), 5.0)
    again = start(configs, out, events(out, "output")[-1]["samples"] + 256, "--gpus", "2")
    _, warned = again.communicate(timeout=180)
    assert again.returncode == 0, warned
    assert events(out, "start")[-1]["resumed_from"] is not None


def test_no_process_stays_when_the_launcher_is_killed(configs, tmp_path):
    out = tmp_path / "out"
    process = start(configs, out, NEVER, "--gpus", "2")
    until(out, "output", process)
    children = ranks(process)
    process.kill()
    assert gone(children.values(), 30.0)
    (stop,) = events(out, "interrupted")  # they were told to stop, and did so in order
    assert events(out, "checkpoint")[-1]["samples"] == stop["samples"]


def test_a_refusal_is_said_once(configs, tmp_path):
    process = start(
        configs, tmp_path / "out", 512, "--gpus", "2", "--in_model_file", str(configs / "none.pt")
    )
    _, warned = process.communicate(timeout=120)
    assert process.returncode in (65, 78)
    assert len({line for line in warned.splitlines() if line.startswith("error: ")}) == 1, warned


def test_what_only_one_can_know_is_said_before_all_end(configs, tmp_path):
    out = tmp_path / "out"
    process = start(configs, out, 128, "--gpus", "2")
    assert process.communicate(timeout=180) and process.returncode == 0
    again = start(configs, out, 512, "--gpus", "2", "--seed", "5")  # process 0 alone reads the checkpoint
    _, warned = again.communicate(timeout=180)
    assert again.returncode == 78, warned
    assert "belongs to a training with other settings (seed was 0, now 5)" in warned
    (error,) = events(out, "error")
    assert error["kind"] == "ConfigError"
