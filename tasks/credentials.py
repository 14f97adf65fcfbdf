"""Credentials of an S3 store from a block of a Prefect server, where `PARC_STORE_BLOCK` names one.

They go into this process's environment (AWS_ACCESS_KEY_ID, …) and nowhere else: S3 clients and child processes find
them there, messages mask them by what is there. Prefect is imported only when a block is asked for.

Placeholders in a deployment's job variables (`{{ prefect.blocks.secret.NAME.key }}`), which workers resolve, would not
do: commands outside of workers need the values, too, a value that may be absent (endpoint, region, session token) or a
block with JSON as text fails the run, and a worker's own key would lose against the block's.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Dict, Mapping, Optional, Tuple

from parc_core.errors import ConfigError, StoreUnreachable
from parc_core.storage.redact import masked
from parc_core.system import json_text

VARIABLE = "PARC_STORE_BLOCK"
PREFECT_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
}
"""For the environment before Prefect is imported: no telemetry, and a longer timeout for the first start of its
embedded server (migrations take 15 s on two cores; the default limit is 20 s)."""

_OWN = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE")
_NEEDED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_NAMES = {
    "AWS_ACCESS_KEY_ID": ("aws_access_key_id", "access_key_id", "key", "minio_root_user"),
    "AWS_SECRET_ACCESS_KEY": (
        "aws_secret_access_key",
        "secret_access_key",
        "secret",
        "minio_root_password",
    ),
    "AWS_SESSION_TOKEN": ("aws_session_token", "session_token"),
    "AWS_ENDPOINT_URL": ("aws_endpoint_url", "endpoint_url"),
    "AWS_DEFAULT_REGION": ("aws_default_region", "region_name"),
}
"""Where a variable's value may stand: our own names, those of botocore, and of prefect-aws's blocks."""
_SHOWN_TYPES = ("json", "string", "variable")
_EXAMPLE = '{"aws_access_key_id": "…", "aws_secret_access_key": "…", "endpoint_url": "https://…"}'
_LOCK = threading.Lock()


def load_credentials() -> None:
    """Puts the block's values into the environment, unless a key or a profile is there already.

    Endpoint and region that the environment names stay. Asked once: from then on the key is in the environment, also of
    every process that this one starts.

    Raises:
        ConfigError: no such block, or it holds no credentials; values are not shown.
        StoreUnreachable: the Prefect server does not answer.
    """
    name = os.environ.get(VARIABLE, "")
    with _LOCK:
        if not name or any(os.environ.get(variable) for variable in _OWN):
            return
        kind, block = _parsed(name)
        for variable, value in variables_of(_read(kind, block), name).items():
            if not os.environ.get(variable):
                os.environ[variable] = value


def variables_of(data: Mapping[str, Any], name: str) -> Dict[str, str]:
    """Environment variables from what a block holds.

    Args:
        data: of a Secret block (a JSON object, or one as text, in `value`), or of prefect-aws's AwsCredentials or
            MinIOCredentials.
        name: of the block, for messages.

    Raises:
        ConfigError: no credentials in it, or a value that is not a text.
    """
    values = _object(data.get("value")) if "value" in data else dict(data)
    if values is None:
        raise ConfigError(f"{VARIABLE}: block '{name}' holds no JSON object; let it be {_EXAMPLE}")
    inner = values.get("aws_client_parameters")  # of prefect-aws's blocks: there the endpoint is
    if isinstance(inner, dict):
        values = {**inner, **values}
    values = {str(key).lower(): item for key, item in values.items()}
    found: Dict[str, str] = {}
    for variable, names in _NAMES.items():
        value = next((values[key] for key in names if values.get(key)), None)
        if value is None:
            continue
        if not isinstance(value, str) or not value.isprintable():
            raise ConfigError(f"{VARIABLE}: in block '{name}' the value for {variable} is not a line of text")
        found[variable] = value
    absent = [variable for variable in _NEEDED if variable not in found]
    if absent:
        raise ConfigError(
            f"{VARIABLE}: block '{name}' has nothing for {' and '.join(absent)}; let it be {_EXAMPLE}"
        )
    return found


def _object(value: Any) -> Optional[Dict[str, Any]]:
    if isinstance(value, str):
        try:
            value = json_text.parse(value)
        except (ValueError, RecursionError):
            return None
    return dict(value) if isinstance(value, dict) else None


def _parsed(name: str) -> Tuple[str, str]:
    """Type and name of a block; `NAME` alone is a Secret."""
    kind, slash, block = name.rpartition("/")
    kind = kind or "secret"
    if not block or "/" in kind or (slash and not name.partition("/")[0]):
        raise ConfigError(f"{VARIABLE}: '{name}' is not a block; write secret/NAME or aws-credentials/NAME")
    if kind in _SHOWN_TYPES:
        raise ConfigError(
            f"{VARIABLE}: blocks of type '{kind}' show their values to everybody; use a Secret block: secret/NAME"
        )
    return kind, block


def _read(kind: str, block: str) -> Mapping[str, Any]:
    """The block's content, by the server's API: packages that define blocks need not be installed here."""
    for variable, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(variable, value)
    try:
        from prefect.client.orchestration import get_client
        from prefect.exceptions import ObjectNotFound
    except ImportError as error:
        raise ConfigError(f"{VARIABLE}: needs Prefect; install parc-tracker[pipeline]") from error
    try:
        with get_client(sync_client=True) as client:
            server = str(client.api_url)
            document = client.read_block_document_by_name(block, kind, include_secrets=True)
    except ObjectNotFound:
        raise ConfigError(
            f"{VARIABLE}: there is no block '{kind}/{block}' on {masked(server)}; make it there (Blocks → Secret)"
        ) from None
    except Exception as error:  # noqa: BLE001 (whatever the client raises: it could not be asked)
        # Without the chain: an answer of the server could hold values.
        raise StoreUnreachable(
            f"{VARIABLE}: the Prefect server did not give the block '{kind}/{block}' ({type(error).__name__}); check "
            "PREFECT_API_URL, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        ) from None
    return document.data
