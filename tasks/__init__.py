"""The pipeline's stages as Prefect tasks: each a thin wrapper around a plain function of parc_core."""

import logging
import os

from parc_core.errors import ParcError
from parc_core.storage.redact import credential_sources
from parc_core.system.proxies import loopback_goes_direct
from tasks.credentials import PREFECT_DEFAULTS, load_credentials

# Before Prefect is imported anywhere. What the user has set stays.
for _name, _value in PREFECT_DEFAULTS.items():
    os.environ.setdefault(_name, _value)
loopback_goes_direct()  # also in the processes that a worker starts

credential_sources.append(load_credentials)


_ENDED_EARLY = ("Finished in state Cancelled(", "Finished in state Crashed('the worker was stopped")
"""How a stage's end reads that somebody wished for, which is no error."""


class _KnownErrorsInOneLine(logging.Filter):
    """Errors that a user can fix need no traceback; the message says what to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and type(record.exc_info[1]).__name__ in ("CancelledRun", "CrashedRun"):
            return False  # the state has said it; Prefect is not imported yet, therefore by name
        if record.exc_info and isinstance(record.exc_info[1], ParcError):
            record.msg, record.args = "%s", (record.exc_info[1],)
            record.exc_info = record.exc_text = None
        if record.levelno == logging.ERROR and record.getMessage().startswith(_ENDED_EARLY):
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        return True


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_KnownErrorsInOneLine())
