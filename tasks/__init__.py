"""The pipeline's stages as Prefect tasks: each a thin wrapper around a plain function of parc_core."""

import logging
import os

from parc_core.errors import ParcError

# Before Prefect is imported anywhere: no telemetry, and patience for the first start of its embedded server
# (migrations take 15 s on two cores; the default limit is 20 s). What the user has set stays.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")


class _KnownErrorsInOneLine(logging.Filter):
    """Errors that a user can mend need no traceback; the message says what to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ParcError):
            record.msg, record.args = "%s", (record.exc_info[1],)
            record.exc_info = record.exc_text = None
        return True


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_KnownErrorsInOneLine())
