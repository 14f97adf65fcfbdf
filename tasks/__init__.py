"""The pipeline's stages as Prefect tasks: each a thin wrapper around a plain function of parc_core."""

import os

# Before Prefect is imported anywhere: no telemetry, and patience for the first start of its embedded server
# (migrations take 15 s on two cores; the default limit is 20 s). What the user has set stays.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")
