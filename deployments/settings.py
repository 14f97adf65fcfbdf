"""What `parc-tracker deploy` sets up, and under which names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from prefect.client.schemas.schedules import CronSchedule
from pydantic import ValidationError

from flows.form import Form
from flows.hand_over import TRAINED_BY
from flows.tracker_iteration import FLOW_NAME
from parc_core.errors import ConfigError
from parc_core.storage.redact import has_credentials
from parc_core.storage.store import Store
from tasks.credentials import VARIABLE as BLOCK_VARIABLE
from tasks.links import VARIABLE as SERVED_VARIABLE

POOL = "parc"
QUEUE = "training"
CHECK_QUEUE = "check"
"""Of the scheduled check, which takes no training's place."""
MANUAL = "tracker-iteration"
SCHEDULED = "tracker-iteration-scheduled"

HEARTBEAT = 30
"""Seconds between a run's heartbeats; Prefect's smallest."""
DEFAULT_CRON = "0 3 * * *"
MIN_HEARTBEAT_TIMEOUT = 3 * HEARTBEAT
"""A shorter one would count healthy runs as crashed."""


@dataclass(frozen=True)
class DeploySettings:
    """One answer to every question of a deployment; None = as it is on the server, or the default at first."""

    form: Form
    """Values that the form starts with."""
    store: str
    """`PARC_STORE` of the runs."""
    pool: str = POOL
    move: bool = False
    """Whether deployments that are in another pool are moved to this one."""
    max_concurrent_runs: int | None = None
    """Limit of the queue: as many as there are GPUs (default 1)."""
    cron: str | None = None
    """When the scheduled deployment looks for new motions (default: each night at three)."""
    timezone: str = "UTC"
    heartbeat_timeout: int = 180
    """Seconds without a heartbeat after which a run counts as crashed."""
    image: str | None = None
    """Image of a docker or Kubernetes pool, which has to be there already."""
    next_deployment: str | None = None
    """`flow/deployment` that a registered model starts, with the parameter `model`."""

    def __post_init__(self) -> None:
        if self.heartbeat_timeout < MIN_HEARTBEAT_TIMEOUT:
            raise ConfigError(
                f"--heartbeat-timeout is {self.heartbeat_timeout}, but runs send a heartbeat every {HEARTBEAT} s; "
                f"give {MIN_HEARTBEAT_TIMEOUT} or more"
            )
        self.schedule()

    def schedule(self) -> CronSchedule:
        """When the scheduled deployment runs.

        Raises:
            ConfigError: no cron line or time zone.
        """
        try:
            return CronSchedule(cron=self.cron or DEFAULT_CRON, timezone=self.timezone)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ConfigError(f"--cron '{self.cron}', --timezone '{self.timezone}': {reason}") from None

    def environment(self, deployment: str = MANUAL) -> dict[str, str]:
        """Variables of a deployment's runs. No credentials: those are the worker's own, or in a block."""
        given = {name: os.environ.get(name, "") for name in (BLOCK_VARIABLE, SERVED_VARIABLE)}
        return {
            "PARC_STORE": self.store,
            **({TRAINED_BY: f"{FLOW_NAME}/{MANUAL}"} if deployment == SCHEDULED else {}),
            **{name: value for name, value in given.items() if value},
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT),
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }


def deployed_store() -> str:
    """The store that runs shall use: `PARC_STORE` of this command, a folder as absolute path.

    Raises:
        ConfigError: the address holds credentials, which the server would show to everybody.
    """
    url = os.environ.get("PARC_STORE", "")
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query:
        raise ConfigError(
            "PARC_STORE holds credentials or a query, which the server would show; give them to the workers in "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and leave them out of the address"
        )
    served = os.environ.get(SERVED_VARIABLE, "")
    if served and (urlsplit(served).scheme not in ("http", "https") or has_credentials(served)):
        raise ConfigError(f"{SERVED_VARIABLE} has to be an http(s) address without credentials; correct it")
    store = Store()
    return str(store.root) if store.root is not None else store.url
