"""The flow that closes the loop: record what the model can do, and iterate on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.deployed import tracker_iteration_deployed
from flows.form_configs import form_from_config
from flows.tracker_iteration import tracker_iteration
from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError
from parc_core.motion.dataset.sources import find_motions
from parc_core.registry.models import resolve_model
from parc_core.registry.recordings import recordings_folder
from parc_core.storage.references import local_path
from parc_core.storage.store import Store
from parc_tracker.main import app

pytestmark = pytest.mark.slow


@pytest.fixture
def recording_config(tracker_config: Path, tmp_path: Path) -> Path:
    """A tiny training whose model is recorded; nothing ends an episode, so that every motion can be performed."""
    config = yaml.safe_load(tracker_config.read_text())
    env = yaml.safe_load((PROJECT_ROOT / "data/configs/demo/env.yaml").read_text())
    env["env"]["enable_early_termination"] = False
    (tmp_path / "env.yaml").write_text(yaml.safe_dump(env))
    config.update(env_config=str(tmp_path / "env.yaml"), record=True)
    tracker_config.write_text(yaml.safe_dump(config))
    return tracker_config


def motions_of(result: dict) -> list[str]:
    listed = json.loads(local_path(result["dataset"]["manifest"]).read_text())["motions"]
    return sorted(motion["name"] for motion in listed)


def test_two_iterations_are_one_command(recording_config, prefect_server, store) -> None:
    """The second trains on initial and recorded motions from the first's model, and records again."""
    result = tracker_iteration(str(recording_config), iterations=2)
    first, second = result["iterations"]
    assert motions_of(first) == ["stand/stand_0", "walk/walk_0"]
    assert motions_of(second) == ["stand/stand_0", "stand/stand_0_dm", "walk/walk_0", "walk/walk_0_dm"]
    assert first["recording"]["summary"]["recorded"] == 2
    assert second["recording"]["summary"]["recorded"] == 4
    manifest = resolve_model(Store(), "tiny")
    assert manifest["version"] == 2
    lineage = manifest["lineage"]
    assert lineage["recording"]["recording"] == second["recording"]["recording"]
    assert lineage["parent"]["sha256"] == first["model"]["model"]["sha256"]
    assert lineage["dataset"]["sha256"] == second["dataset"]["sha256"]
    # Once more: nothing is done again.
    again = tracker_iteration(str(recording_config), iterations=2)
    assert again["model"] == result["model"] and again["recording"] == result["recording"]
    # The next iteration finds the recordings by the model's name.
    folder = recordings_folder("recordings:tiny")
    assert folder is not None
    classes, files = find_motions(["recordings:tiny"])
    assert classes == ["stand", "stand_0_49", "walk", "walk_0_49"] and len(files) == 4  # by PARC's rule
    assert all(file.path.startswith(folder) for file in files)
    damaged = Path(files[0].path)
    content = damaged.read_bytes()
    damaged.write_bytes(b"torn")
    tracker_iteration(str(recording_config), iterations=2)
    assert damaged.read_bytes() == content


def test_the_command(recording_config, store, tmp_path) -> None:
    arguments = ["run", "--config", str(recording_config), "--iterations", "2"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "tiny version 2" in shown.output and "4 of 4" in shown.output
    dataset = {"dataset_file": str(tmp_path / "motions.yaml")}
    config = yaml.safe_load(recording_config.read_text())
    del config["create_dataset_config"]
    (tmp_path / "motions.yaml").write_text(yaml.safe_dump({"motions": [{"file": "x.pkl", "weight": 1.0}]}))
    recording_config.write_text(yaml.safe_dump({**config, **dataset}))
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == ConfigError.exit_code
    assert "no recorded motions can be added" in refused.stderr


REAL = PROJECT_ROOT.parent / "shared" / "data" / "motions"


@pytest.mark.skipif(not REAL.is_dir(), reason=f"real clips are not there: {REAL}")
def test_real_and_synthetic_clips(recording_config, prefect_server, store, motions, tmp_path) -> None:
    """Ten real clips and two synthetic ones: what was recorded of them is merged and trained on as it is."""
    dataset = yaml.safe_load((tmp_path / "dataset.yaml").read_text())
    dataset["folder_paths"] = [str(REAL / "mocap_flat"), str(REAL / "parc_initial"), str(motions)]
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(dataset))
    first, second = tracker_iteration(str(recording_config), iterations=2)["iterations"]
    assert first["dataset"]["motions"] == 12
    summary = first["recording"]["summary"]
    # One has 15 frames, fewer than the next stage needs.
    assert summary["recorded"] == 11 and summary["by_start_fraction"] == {"0": 11}
    assert second["dataset"]["motions"] == 23
    assert second["recording"]["summary"]["recorded"] == 22
    assert all(number >= 0 for number in summary["quality"].values())


def test_a_scheduled_run_finds_the_recordings_by_itself(recording_config, prefect_server, store) -> None:
    """`recordings:tiny` among the folders: nothing in the first night, the first model's recordings in the second."""
    form = form_from_config(recording_config)
    assert form.registration.record
    form.motions.folders = [*form.motions.folders, "recordings:tiny"]
    form.only_new_motions = True
    groups = {name: getattr(form, name) for name in type(form).model_fields}
    for night in (1, 2):
        assert tracker_iteration_deployed(**groups, return_state=True).name == "Completed"
        assert resolve_model(Store(), "tiny")["version"] == night
    first, second = (resolve_model(Store(), "tiny", version) for version in (1, 2))
    assert first["lineage"]["dataset"]["motions"] == 2
    assert second["lineage"]["dataset"]["motions"] == 4
    assert second["lineage"]["parent"]["sha256"] == first["files"]["model.pt"]["sha256"]
    assert second["lineage"]["recording"]["summary"]["recorded"] == 4
