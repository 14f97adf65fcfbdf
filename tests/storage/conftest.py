"""The S3 server for all tests of the store."""

from tests.object_store import object_server, s3_url

__all__ = ["object_server", "s3_url"]
