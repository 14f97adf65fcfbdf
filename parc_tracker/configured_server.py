"""Prefect's settings as the user has them, and the server that they name: looked at before a run begins."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING, Sequence

from parc_core.errors import ConfigError, ServerUnreachable
from parc_core.storage.redact import masked
from parc_core.system.proxies import drop_unusable, is_loopback

if TYPE_CHECKING:
    from prefect.settings import Settings

START_A_SERVER = "start one with 'prefect server start' and set PREFECT_API_URL=http://127.0.0.1:4200/api"


def prefect_settings() -> Settings:
    """Prefect's settings, from environment and profile.

    Raises:
        ConfigError: they are not as Prefect wants them, in one line.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # Prefect shows a fault of many lines before it raises it
            from prefect.settings import get_current_settings

            settings = get_current_settings()
    except ImportError as error:
        raise ConfigError(f"Prefect cannot be imported ({error}); install parc-tracker[pipeline]") from error
    except Exception as error:  # pydantic's, TOML's, those of the file system
        raise ConfigError(
            f"Prefect's settings are not valid: {_fault(error)}; correct the PREFECT_… variables or the profile"
        ) from error
    sys.stderr.write(said.getvalue())
    return settings


def check_server(dropped_proxies: Sequence[str] = ()) -> None:
    """Whether the server that Prefect's settings name answers; where they name none, whether a temporary one may run.

    Args:
        dropped_proxies: variables that this process had to do without, see `drop_unusable`.

    Raises:
        ConfigError: the settings do not allow a run.
        ServerUnreachable: the server does not answer, or is not one of Prefect's.
    """
    settings = prefect_settings()
    url = settings.api.url
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigError(f"PREFECT_API_URL: '{masked(url)}' is not an http:// address; correct it")
    if url is None:
        if not settings.server.ephemeral.enabled:
            raise ConfigError(
                "no Prefect server is set, and PREFECT_SERVER_ALLOW_EPHEMERAL_MODE forbids a temporary one; "
                + START_A_SERVER
            )
        return
    if dropped_proxies and not is_loopback(url):
        raise ConfigError(
            f"{', '.join(dropped_proxies)}: Prefect's client cannot use this proxy; pip install socksio (for SOCKS 5), "
            f"name an http:// proxy, or unset it and put the host of {masked(url)} into no_proxy"
        )
    from prefect.client.orchestration import ServerType, get_client

    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
        is_cloud = client.server_type == ServerType.CLOUD
    status = getattr(getattr(problem, "response", None), "status_code", None)
    if problem is None or (is_cloud and status == 404):
        return
    if status == 404:
        raise ConfigError(
            f"PREFECT_API_URL: {masked(url)} is not Prefect's API, which ends with /api; correct it"
        )
    if status in (401, 403):
        raise ConfigError(f"PREFECT_API_URL: {masked(url)} refuses ({status}); check PREFECT_API_AUTH_STRING")
    why = " ".join(str(problem).split())[:200] or type(problem).__name__
    raise ServerUnreachable(
        f"the Prefect server {masked(url)} does not answer ({masked(why)}); start it, correct PREFECT_API_URL, or "
        "unset that for a temporary server"
    )


def without_unusable_proxies() -> list[str]:
    """`drop_unusable`, said on standard error."""
    dropped = drop_unusable()
    if dropped:
        print(
            f"note: {', '.join(dropped)}: not used here, Prefect's client cannot (SOCKS 5 needs: pip install socksio)",
            file=sys.stderr,
        )
    return dropped


def _fault(error: Exception) -> str:
    """The first thing that is wrong, without pydantic's many lines."""
    errors = getattr(error, "errors", None)
    if callable(errors) and errors():
        first = errors()[0]
        return f"{getattr(error, 'title', '')} {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
