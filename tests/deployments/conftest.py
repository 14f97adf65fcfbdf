import pytest

from tests.prefect_processes import running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Prefect server for the tests of a file."""
    with running_server(tmp_path_factory.mktemp("server")) as found:
        yield found
