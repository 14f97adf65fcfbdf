"""PARC's own four config files, unchanged: dataset creation with the data of stage 1, then a training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from parc_core.config.dataset_config import load_dataset_config
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.resolve import emit_configs
from parc_core.config.tracker_config import load_tracker_config
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.motion.formats.container import read_misc, read_motion_terrain
from parc_core.motion.formats.terrain_grid import read_terrain_pkl
from tests.config.parc_values import AGENT_YAML, ENV_YAML
from tests.motion.small_files import write_small

DATASET_YAML = """
save_path: $DATA_DIR/dataset/motions.yaml
folder_paths: [$DATA_DIR/motions]
char_filepath: data/assets/humanoid.xml
compute_preprocessing_data: true
override_old_hf_mask_inds: true
cut_some_classes_in_half: true
motion_classes_to_cut_in_half: [running]
max_terrain_dim_x: 64
max_terrain_dim_y: 64
min_num_frames: 15
"""
TRACKER_YAML = """
env_config: $DATA_DIR/dm_env_default.yaml
agent_config: $DATA_DIR/dm_agent_default.yaml
output_dir: $DATA_DIR/output
num_envs: 2048
max_samples: 10000000000
device: cuda:0
dataset_file: $DATA_DIR/dataset/motions.yaml
in_model_file: null
create_dataset_config: $DATA_DIR/create_dataset_config.yaml
"""


@pytest.fixture
def parc_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PARC_INDEX", str(tmp_path / "index.json"))
    for name, text in {
        "create_dataset_config": DATASET_YAML,
        "dm_env_default": ENV_YAML,
        "dm_agent_default": AGENT_YAML,
        "parc_3_tracker_default": TRACKER_YAML,
    }.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    for number, name in enumerate("abcd"):
        write_small(tmp_path / "motions" / "running" / f"{name}.pkl", frames=20, height=1 + number / 10)
    write_small(tmp_path / "motions" / "climbing" / "short.pkl", frames=14)
    write_small(tmp_path / "motions" / "climbing" / "wide.pkl", frames=15, nx=65)
    write_small(tmp_path / "motions" / "climbing" / "fits.pkl", frames=15, nx=64)
    return tmp_path


def test_they_run_unchanged(parc_files: Path) -> None:
    built = create_dataset(load_dataset_config(parc_files / "create_dataset_config.yaml"))
    assert built["classes"] == {"climbing": 1, "running": 2} and built["num_rejected"] == 4
    assert built["motions_yaml"] == str(parc_files / "dataset" / "motions.yaml")
    for entry in read_motions_yaml(built["motions_yaml"]).entries:
        content = read_motion_terrain(entry.file)
        assert content.motion is not None
        assert len(read_misc(content)["hf_mask_inds"]) == content.motion.num_frames

    tracker = load_tracker_config(parc_files / "parc_3_tracker_default.yaml")
    assert tracker.dataset_file is not None
    written = emit_configs(tracker, tracker.dataset_file, parc_files / "output")
    assert yaml.safe_load(written["dm_env.yaml"].read_text())["env_name"] == "ig_parkour"
    env_file = load_env_config(written["dm_env.yaml"])
    assert env_file.env.dm.motion_file == built["motions_yaml"]


@pytest.mark.slow
def test_they_train(parc_files: Path) -> None:
    """With PARC's networks and settings; the command line makes it short and puts it on the CPU."""
    pytest.importorskip("mujoco")
    create_dataset(load_dataset_config(parc_files / "create_dataset_config.yaml"))
    tracker = load_tracker_config(parc_files / "parc_3_tracker_default.yaml")
    assert tracker.dataset_file is not None
    written = emit_configs(tracker, tracker.dataset_file, parc_files / "output")
    options = {"device": "cpu", "engine": "mujoco", "num_envs": 4, "max_samples": 2 * 4 * 32}
    words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-m", "parc_core.train", "--arg_file", str(written["train_args.txt"]), *words]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = torch.load(parc_files / "output" / "model.pt", weights_only=True)
    assert model["_model._actor_layers.0.weight"].shape == (2048, 1312)
    assert all(bool(torch.isfinite(value).all()) for value in model.values())
    assert (parc_files / "output" / "checkpoints" / "checkpoint_256.pt").is_file()
    assert read_terrain_pkl(parc_files / "output" / "terrain.pkl").motion_offsets.shape == (3, 1, 2)
