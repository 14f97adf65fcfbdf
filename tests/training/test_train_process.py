"""`python -m parc_core.train` on the real environment: output folder, exact continuation, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from parc_core.character.mjcf import load_character
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic.generate import make_motion
from tests.training.test_trainer import ROOT, assert_same, final_state, log_rows

ITERATION = 32  # samples: 4 environments × 8 steps
ENV = """env_name: ig_parkour
env:
  action_mode: residual
  dm: {motion_file: %s}
"""
AGENT = """model: {actor_net: fc_2layers_32units, critic_net: fc_2layers_32units}
optimizer: {type: Adam, learning_rate: 5.0e-4}
steps_per_iter: 8
iters_per_output: 2
iters_per_checkpoint: 3
test_episodes: 0
normalizer_samples: 100
use_tensorboard: false
"""


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    pytest.importorskip("mujoco")
    folder = tmp_path_factory.mktemp("configs")
    character = load_character(ROOT / "data" / "assets" / "humanoid.xml")
    entries = []
    for kind in ("walk", "squat"):
        file = folder / f"{kind}.pkl"
        write_motion_terrain(file, make_motion(kind, 0, character))
        entries.append(MotionEntry(str(file), 1.0))
    write_motions_yaml(folder / "motions.yaml", MotionsFile(entries))
    (folder / "env.yaml").write_text(ENV % (folder / "motions.yaml"))
    (folder / "agent.yaml").write_text(AGENT)
    return folder


def run(*args, program=("-m", "parc_core.train")):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *program, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, check=False)


def train(configs, out, iterations, program=("-m", "parc_core.train"), code=0):
    arguments = {
        "env_config": configs / "env.yaml",
        "agent_config": configs / "agent.yaml",
        "output_dir": out,
    }
    arguments.update(num_envs=4, device="cpu", engine="mujoco", max_samples=iterations * ITERATION)
    result = run(*(part for key, value in arguments.items() for part in (f"--{key}", value)), program=program)
    assert result.returncode == code, result.stderr
    return result


@pytest.mark.slow
def test_output_folder_and_exact_continuation(configs, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(configs, whole, 7)
    train(configs, parts, 4)
    again = run("--arg_file", parts / "train_args.txt", "--max_samples", 7 * ITERATION)
    assert again.returncode == 0, again.stderr
    assert final_state(whole)[0] == final_state(parts)[0] == 7 * ITERATION
    assert_same(final_state(whole)[1], final_state(parts)[1])
    models = [torch.load(folder / "model.pt", weights_only=True) for folder in (whole, parts)]
    assert_same(*models)
    names = ["agent_config.yaml", "checkpoints", "dm_env.yaml", "log.txt", "model.pt", "progress.jsonl"]
    assert sorted(p.name for p in whole.iterdir()) == [*names, "terrain.pkl", "train_args.txt"]
    assert len(log_rows(whole)) == 5  # iterations 1, 2, 4, 6 and the last
    assert all(0.0 < float(row["pose_r"]) < 1.0 and "Window_Exits" in row for row in log_rows(whole))
    repeated = run("--arg_file", whole / "train_args.txt", "--output_dir", tmp_path / "repeated")
    assert repeated.returncode == 0, repeated.stderr
    assert_same(models[0], torch.load(tmp_path / "repeated" / "model.pt", weights_only=True))


def test_bad_settings_and_data_have_their_exit_codes(configs, tmp_path):
    missing = run("--arg_file", tmp_path / "none.txt")
    assert missing.returncode == 78 and missing.stderr.startswith("error: ")
    (tmp_path / "motions.yaml").write_text("motions: []\n")
    (tmp_path / "env.yaml").write_text(ENV % (tmp_path / "motions.yaml"))
    args = ["--env_config", tmp_path / "env.yaml", "--agent_config", configs / "agent.yaml", "--num_envs", 2]
    empty = run(*args, "--device", "cpu", "--output_dir", tmp_path / "out")
    assert empty.returncode == 65 and empty.stderr.startswith("error: ")


@pytest.mark.slow
def test_a_disk_that_gets_full_ends_the_training_as_the_contract_says(configs, tmp_path):
    """Files of 100 kB at most: the checkpoint is larger. With room, the same command trains."""
    limit = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (100_000, 100_000)); "
    program = limit + "import runpy; runpy.run_module('parc_core.train', run_name='__main__')"
    result = train(configs, tmp_path / "out", 3, ("-c", program), 78)
    assert "cannot be written (File too large)" in result.stderr
    assert "Traceback" not in result.stderr and "terminate called" not in result.stderr
    assert not list((tmp_path / "out").rglob("*.pt")) and not list((tmp_path / "out").rglob(".*.tmp"))
    train(configs, tmp_path / "out", 3)
