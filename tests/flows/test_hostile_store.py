"""The whole command on a bucket that somebody tampered with, and where credentials do not show up."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from flows.tracker_iteration import tracker_iteration
from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import DataError, StoreUnreachable
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store
from tests.motion.small_files import RunsCode
from tests.pipeline_fixtures import change, write_yaml

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

SHA = "0" * 64
SECRET = "hunter2-of-the-endpoint"


@pytest.fixture
def bucket(store, s3_url, tmp_path, monkeypatch):
    """The store is in the bucket, and this machine's own folders are empty ones."""
    monkeypatch.setenv("PARC_STORE", s3_url)
    for name in ("PARC_WORK", "PARC_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PREFECT_API_URL", str(get_current_settings().api.url))
    return Store(s3_url)


def run(config: Path, code: int, **variables: str) -> str:
    """`parc-tracker run`, its exit code and all that it printed; the last line says what is wrong."""
    command = [sys.executable, "-m", "parc_tracker.main", "run", "--config", str(config)]
    env = {**os.environ, "COLUMNS": "500", **variables}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=PROJECT_ROOT)
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    assert "Traceback" not in text
    assert done.stderr.rstrip().splitlines()[-1].startswith("error: ")
    return text


def everything_on_the_server() -> str:
    """Runs with their parameters and states, logs and artifacts: what everybody sees in the UI."""
    found = []
    with get_client(sync_client=True) as client:
        for what in ("flow_runs", "task_runs", "logs", "artifacts"):
            offset = 0
            while (
                page := client._client.post(f"/{what}/filter", json={"limit": 200, "offset": offset})
                .raise_for_status()
                .json()
            ):
                found += page
                offset += len(page)
    return json.dumps(found)


def last_line(text: str) -> str:
    return text.rstrip().splitlines()[-1]


@pytest.mark.parametrize("file", ["../../evil", "/etc/cron.d/evil", "a\x1b[2Jb", "..\\evil", "a/b"])
def test_a_poisoned_manifest_ends_the_run(bucket, tracker_config, tmp_path, file):
    (tmp_path / "model.pt").write_text("weights")
    model = register_model(bucket, "tiny", {"model.pt": tmp_path / "model.pt"}, {})
    model["files"] = {"model.pt": model["files"]["model.pt"], file: {"uri": "x", "sha256": SHA}}
    bucket.put_json({k: v for k, v in model.items() if k != "ref"}, "models/tiny/1/manifest.json")
    config = change(tracker_config, in_model_file="registry:tiny@1")
    with pytest.raises(DataError, match="could leave the folder"):
        tracker_iteration(str(config))
    if file == "../../evil":  # the command, too
        text = run(config, 65)
        assert "models/tiny/1/manifest.json: refused, file name '../../evil' could leave" in last_line(text)
        assert "could leave the folder" in everything_on_the_server()
    assert "runs" not in {key.partition("/")[0] for key in bucket.list()}  # nothing was trained


def test_a_wrong_endpoint_with_a_password_in_it(bucket, tracker_config, tmp_path, monkeypatch):
    address = f"http://user:{SECRET}@127.0.0.1:9"
    text = run(tracker_config, 78, AWS_ENDPOINT_URL=address)
    assert "credentials do not belong into the address" in last_line(text)
    assert SECRET not in text
    # A file of AWS's own is not ours to refuse: the client does, and every request fails.
    (tmp_path / "aws").write_text(f"[default]\nendpoint_url = {address}\n")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
    monkeypatch.setenv("PARC_STORE_RETRY_TIMEOUT", "1")
    monkeypatch.setattr("tasks.stage.STORE_RETRIES", [])
    config = change(tracker_config, in_model_file="registry:tiny@latest")
    with pytest.raises(StoreUnreachable, match=r"does not answer .*credentials encoded in URL") as caught:
        tracker_iteration(str(config))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    shown = everything_on_the_server()
    assert "credentials encoded in URL" in shown
    assert SECRET not in shown


@pytest.fixture
def evil(bucket, tracker_config, tmp_path):
    """The motion folder is in the bucket, and holds one motion: it would make the file `ran`, unpickled plainly."""
    evil = pickle.dumps({"motion_data": RunsCode(tmp_path / "ran"), "terrain_data": None, "misc_data": None})
    bucket.put_bytes(evil, "recorded/walk/evil.pkl")
    dataset = {"folder_paths": [bucket.uri("recorded")], "save_path": str(tmp_path / "dataset")}
    write_yaml(tmp_path / "dataset.yaml", dataset)


def test_a_poisoned_motion_alone_ends_the_run(evil, tracker_config, tmp_path):
    assert "evil.pkl" in last_line(run(tracker_config, 65))
    assert not (tmp_path / "ran").exists()


def test_a_poisoned_motion_is_left_out_and_a_blocks_values_are_nowhere(
    evil, bucket, tracker_config, motions, object_server, tmp_path, monkeypatch
):
    for path in motions.rglob("*.pkl"):
        bucket.put_file(path, f"recorded/{path.relative_to(motions)}")
    keys = object_server.environment()
    Secret(value=keys).save("of-the-lab", overwrite=True)
    monkeypatch.setenv("PARC_STORE_BLOCK", "secret/of-the-lab")
    for name in keys:
        monkeypatch.delenv(name)

    result = tracker_iteration(str(change(tracker_config, max_samples=64)))
    assert (result["dataset"]["motions"], result["model"]["version"]) == (2, 1)
    shown = everything_on_the_server()
    assert "evil.pkl" in shown
    assert not (tmp_path / "ran").exists()

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    kept = [bucket.read_bytes(key) for key in bucket.list()]
    assert len(kept) > 10
    assert any(path.name == "output.log" for path in written)
    contents = [*kept, *(path.read_bytes() for path in written), shown.encode()]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert not any(keys[name].encode() in content for content in contents)
