"""Fixtures of all rooms: a store, two synthetic motions, and an S3 server of the test run's own."""

from tests.object_store import object_server, s3_url
from tests.pipeline_fixtures import motions, prefect_server, store, tracker_config

__all__ = ["motions", "object_server", "prefect_server", "s3_url", "store", "tracker_config"]
