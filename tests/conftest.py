"""Fixtures of all rooms: a store, two synthetic motions, and an S3 server of the test run's own."""

import pytest

from tests.object_store import object_server, s3_url
from tests.pipeline_fixtures import motions, prefect_server, session_server, store, tracker_config

__all__ = [
    "motions",
    "object_server",
    "prefect_server",
    "s3_url",
    "session_server",
    "store",
    "tracker_config",
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    if config.getvalue("dist") != "loadfile":
        return None
    from tests.workers import OneServer  # not every environment has xdist

    return OneServer(config, log)
