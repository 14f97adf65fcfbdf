"""The engine that docs/development.md adds: two places are touched, and it works everywhere at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic.generate import make_motion

CODE = """
import torch
from parc_core.character.mjcf import load_character
from parc_core.config.env_config import EnvFileConfig
from parc_core.engines.registry import make_engine
from parc_core.terrain.packed import PackedTerrain
from parc_tracker.doctor import check_engine
from tests.engines.conformance.conftest import HUMANOID, terrains

device = torch.device("cpu")
engine = make_engine(
    "kinematic", load_character(HUMANOID), PackedTerrain(terrains(), device), EnvFileConfig(), 3, device
)
engine.state.root_vel[:, 0] = 3.0
targets = 0.1 * torch.ones(3, 28)
targets[1, 0] = float("nan")
for _ in range(5):
    engine.step(targets)
saved = engine.state_dict()
assert torch.allclose(engine.state.root_pos[:, 0], torch.tensor(0.5))  # 3 m/s for 5 / 30 s
assert torch.allclose(engine.state.dof_pos[0], targets[0], atol=1e-6) and float(engine.state.dof_pos[1, 0]) == 0.0
engine.step(2.0 * targets)
engine.load_state_dict(saved)
assert torch.equal(engine.state.body_pos, saved["body_pos"])
assert check_engine("kinematic").ok
"""


def documented_diff() -> str:
    text = (PROJECT_ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    section = text.partition("## Adding an engine\n")[2].partition("\n## ")[0]
    (diff,) = re.findall(r"```diff\n(.*?)```", section, re.DOTALL)
    return diff


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with the diff applied."""
    root = tmp_path_factory.mktemp("project")
    skip = shutil.ignore_patterns("__pycache__")
    for folder in ("parc_core", "parc_tracker", "tests", "data"):
        shutil.copytree(PROJECT_ROOT / folder, root / folder, ignore=skip)
    done = subprocess.run(
        ["git", "apply", "-"], cwd=root, input=documented_diff(), text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return root


def test_two_places() -> None:
    assert len(re.findall(r"^diff --git ", documented_diff(), re.MULTILINE)) == 2


def run(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "PARC_STORE": str(root / "store"),
        "MUJOCO_GL": "egl",
    }
    return subprocess.run(
        [sys.executable, *args], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_it_is_made_steps_and_is_known_to_the_doctor(project: Path) -> None:
    done = run(project, "-c", CODE)
    assert done.returncode == 0, done.stderr


def test_a_training_runs_with_it(project: Path, tmp_path: Path) -> None:
    character = load_character(PROJECT_ROOT / "data" / "assets" / "humanoid.xml")
    write_motion_terrain(tmp_path / "walk.pkl", make_motion("walk", 0, character))
    write_motions_yaml(tmp_path / "motions.yaml", MotionsFile([MotionEntry(str(tmp_path / "walk.pkl"), 1.0)]))
    (tmp_path / "env.yaml").write_text(f"env: {{dm: {{motion_file: {tmp_path / 'motions.yaml'}}}}}\n")
    (tmp_path / "agent.yaml").write_text(
        "model: {actor_net: fc_1layers_8units, critic_net: fc_1layers_8units}\n"
        "steps_per_iter: 4\nbatch_size: 2\nupdate_epochs: 1\ntest_episodes: 0\nuse_tensorboard: false\n"
    )
    options = {
        "env_config": tmp_path / "env.yaml",
        "agent_config": tmp_path / "agent.yaml",
        "output_dir": tmp_path / "out",
        "num_envs": 2,
        "max_samples": 8,
        "device": "cpu",
        "engine": "kinematic",
    }
    done = run(project, "-m", "parc_core.train", *(f"--{name}={value}" for name, value in options.items()))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model.pt").is_file()
