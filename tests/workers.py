"""Which worker of pytest-xdist runs which tests."""

from pathlib import Path

from xdist.scheduler import LoadFileScheduling

WITH_PREFECT = ("tests/flows/test_short.py", "tests/tasks/test_credentials.py")
"""Files of `make test` whose tests talk to a Prefect server, which takes 15 s to start."""
assert all((Path(__file__).parents[1] / file).is_file() for file in WITH_PREFECT), WITH_PREFECT


class OneServer(LoadFileScheduling):
    """File by file, but those with a Prefect server in one process, which starts a single one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "prefect" if file in WITH_PREFECT else file
