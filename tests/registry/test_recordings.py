"""`recordings:NAME`: the folder of what a registered model has recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.sources import find_motions
from parc_core.registry.recordings import is_recordings, recordings_folder
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "store"))
    return Store()


def register(place: Store, tmp_path: Path, recording: Any, **gate: float) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    metrics = {"after": {"completed_share": 0.5, "mean_completed_fraction": 0.5}}
    manifest = {"lineage": {"recording": recording}, "metrics": metrics}
    register_model(place, "walker", {"model.pt": tmp_path / "model.pt"}, manifest, gate=gate or None)


def recorded(key: str, count: int = 1) -> dict[str, Any]:
    return {"folder": f"recordings/{key}/recorded_motions", "summary": {"recorded": count}}


def test_of_the_latest_model_or_of_a_version(place, tmp_path):
    register(place, tmp_path, recorded("a"))
    register(place, tmp_path, recorded("b"))
    assert recordings_folder("recordings:walker") == str(place.root / "recordings/b/recorded_motions")
    assert recordings_folder("recordings:walker@1") == str(place.root / "recordings/a/recorded_motions")


def test_nothing_yet(place, tmp_path):
    """Before the first model, before one has passed its gate, and where nothing was recorded."""
    assert recordings_folder("recordings:walker") is None
    register(place, tmp_path, recorded("a"), min_completed=0.9)
    assert recordings_folder("recordings:walker@latest") is None
    assert recordings_folder("recordings:walker@1") is not None
    register(place, tmp_path, recorded("b", 0))
    assert recordings_folder("recordings:walker@2") is None
    register(place, tmp_path, None)
    assert recordings_folder("recordings:walker@3") is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("recordings:walker@9", DataError),
        ("recordings:walker@", ConfigError),
        ("recordings:", ConfigError),
        ("recordings:../x", ConfigError),
    ],
)
def test_what_cannot_be_meant(place, tmp_path, text, error):
    register(place, tmp_path, recorded("a"))
    with pytest.raises(error):
        recordings_folder(text)


def test_a_manifest_that_leads_out_of_the_store_is_refused(place, tmp_path):
    register(place, tmp_path, {"folder": "../../etc", "summary": {"recorded": 1}})
    with pytest.raises(DataError, match=r"without '\.\.'"):
        recordings_folder("recordings:walker")


def test_motion_folders_go_without_what_is_not_there_yet(place, tmp_path, caplog):
    (tmp_path / "motions" / "walk").mkdir(parents=True)
    (tmp_path / "motions" / "walk" / "a.pkl").write_bytes(b"")
    classes, files = find_motions([str(tmp_path / "motions"), "recordings:walker"])
    assert classes == ["walk"] and len(files) == 1
    assert "recordings:walker: nothing is recorded yet" in caplog.text
    assert is_recordings("recordings:walker") and not is_recordings("registry:walker")
