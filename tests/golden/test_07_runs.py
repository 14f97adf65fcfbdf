"""PARC's checkpoint in our programs: played, drawn, and trained further."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from parc_core.config.paths import PROJECT_ROOT
from parc_core.learning.model_file import read_model_file
from tests.config.parc_values import AGENT_YAML, ENV_YAML

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_folder(golden_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PARC's environment and agent file for one of the published clips, beside the checkpoint."""
    pytest.importorskip("mujoco")
    models = sorted(golden_dir.glob("upstream_model_*.pt"))
    clips = sorted((golden_dir / "files").glob("*.pkl"))
    if not models or not clips:
        pytest.skip(f"{golden_dir} holds no upstream_model_*.pt or no clip in files/")
    folder = tmp_path_factory.mktemp("upstream")
    (folder / "model.pt").write_bytes(models[0].read_bytes())
    (folder / "motions.yaml").write_text(f"motions:\n- file: {clips[0]}\n  weight: 1.0\n")
    env = yaml.safe_load(ENV_YAML)
    env["env"]["dm"]["motion_file"] = str(folder / "motions.yaml")
    agent = yaml.safe_load(AGENT_YAML)
    layers = sum(key.startswith("_model._actor_layers") for key in read_model_file(models[0]).state) // 2
    agent["model"].update({name: f"fc_{layers}layers_1024units" for name in ("actor_net", "critic_net")})
    agent.update(normalizer_samples=1000, test_episodes=0)
    for name, data in (("dm_env", env), ("agent_config", agent)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(data))
    return folder


def run(*command: object) -> None:
    words = [sys.executable, "-m", *map(str, command)]
    done = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_played_and_drawn(run_folder: Path) -> None:
    out = run_folder / "evaluation"
    run("parc_tracker.main", "eval", "--model", run_folder / "model.pt", "--engine", "mujoco", "--out", out)
    result = json.loads((out / "evaluation.json").read_text())
    assert len(result["clips"]) == 1
    assert (out / "report.html").is_file()
    (video,) = out.glob("rollout.*")
    assert video.stat().st_size > 1000


def test_it_is_trained_further(run_folder: Path) -> None:
    """Its normalizer stays as it came: the file holds no second moments to go on from."""
    out = run_folder / "out"
    options = {"env_config": run_folder / "dm_env.yaml", "agent_config": run_folder / "agent_config.yaml"}
    options |= {"in_model_file": run_folder / "model.pt", "output_dir": out, "engine": "mujoco"}
    options |= {"device": "cpu", "num_envs": 4, "max_samples": 2 * 4 * 32}
    run("parc_core.train", *(word for key, value in options.items() for word in (f"--{key}", value)))
    before, after = (
        torch.load(path, weights_only=True) for path in (run_folder / "model.pt", out / "model.pt")
    )
    assert list(before) == list(after)
    for key, value in before.items():
        assert (value.dtype, value.shape) == (after[key].dtype, after[key].shape)
        if key.startswith("_obs_norm"):
            assert torch.equal(value, after[key]), key
    moved = (after["_model._actor_layers.0.weight"] - before["_model._actor_layers.0.weight"]).abs().max()
    assert 0 < float(moved) < 0.1
