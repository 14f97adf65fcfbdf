import pytest

from tests.object_store import object_server, s3_url
from tests.pipeline_fixtures import motions, store, tracker_config
from tests.prefect_processes import running_server

__all__ = ["motions", "object_server", "s3_url", "store", "tracker_config"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Prefect server for the tests of a file."""
    with running_server(tmp_path_factory.mktemp("server")) as found:
        yield found
