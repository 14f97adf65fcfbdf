"""What an error of a remote store means, and how long it is worth trying again."""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Any, Awaitable, Callable, Iterator, Optional, Tuple, TypeVar

from parc_core.errors import ConfigError, ParcError, StoreUnreachable
from parc_core.storage.redact import masked
from parc_core.system.environment_numbers import real

T = TypeVar("T")

RETRY_TIMEOUT_S = 60.0
"""How long a store may be out of reach; `$PARC_STORE_RETRY_TIMEOUT` (seconds) overrides it."""
MAX_RETRY_TIMEOUT_S = 7 * 86400
TIMEOUT_VARIABLES = ("PARC_STORE_RETRY_TIMEOUT", "PARC_STORE_PATIENCE")
"""The first that is set counts; the second is its earlier name."""

_CODES = {
    "PreconditionFailed": "precondition",
    "412": "precondition",
    "ConditionalRequestConflict": "transient",
    "NoSuchBucket": "no bucket",
    "NoSuchKey": "missing",
    "404": "missing",
    "AccessDenied": "denied",
    "AllAccessDisabled": "denied",
    "ExpiredToken": "denied",
    "InvalidAccessKeyId": "denied",
    "InvalidToken": "denied",
    "SignatureDoesNotMatch": "denied",
    "TokenRefreshRequired": "denied",
    "SlowDown": "transient",
    "ServiceUnavailable": "transient",
    "InternalError": "transient",
    "RequestTimeout": "transient",
    "Throttling": "transient",
    "ThrottlingException": "transient",
    "OperationAborted": "transient",
}
"""What a server's error codes mean (Amazon S3 API, "Error responses")."""

_STATUS = {
    401: "denied",
    403: "denied",
    404: "missing",
    408: "transient",
    412: "precondition",
    429: "transient",
}

# By name, because the packages that define these are optional and need not be imported to recognize them.
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}
_CONNECTION = {
    "EndpointConnectionError",
    "ConnectionClosedError",
    "HTTPClientError",
    "IncompleteReadError",
    "IncompleteRead",
    "ResponseStreamingError",
    "ResponseParserError",
    "FSTimeoutError",
    "ClientPayloadError",
    "ClientConnectionError",
    "ConnectionError",
    "TimeoutError",
    "SSLError",
}


class PreconditionFailed(Exception):
    """A conditional write found that somebody else had been there."""


def retry_timeout() -> float:
    """Seconds.

    Raises:
        ConfigError: `PARC_STORE_RETRY_TIMEOUT` is no number, or out of bounds.
    """
    name = next((name for name in TIMEOUT_VARIABLES if os.environ.get(name)), TIMEOUT_VARIABLES[0])
    return real(name, RETRY_TIMEOUT_S, 0, MAX_RETRY_TIMEOUT_S, "seconds")


class Attempts:
    """Decides after each error whether there is another attempt, and when."""

    def __init__(self, where: str) -> None:
        """`where`: the address that messages name."""
        self.where = where
        self.failed = 0
        """Attempts that ended in a transient error: a write among them may have been carried out."""
        self._deadline = time.monotonic() + retry_timeout()

    def wait_after(self, error: Exception) -> float:
        """Seconds until the next attempt (doubling, with jitter), where the error is a passing one.

        Raises:
            FileNotFoundError: there is nothing at the address.
            PreconditionFailed: see there.
            StoreUnreachable: the timeout has passed.
            ConfigError: credentials, bucket or request are refused; the same again would be, too.
        """
        kind = failure_kind(error)
        if kind == "missing":
            raise FileNotFoundError(self.where) from error
        if kind == "precondition":
            raise PreconditionFailed(self.where) from error
        if kind == "unknown":
            if masked(str(error)) != str(error):
                raise _refusal(self.where, kind, error) from None
            raise error
        if kind != "transient":
            raise _refusal(self.where, kind, error) from None
        wait = min(10.0, 0.25 * 2.0**self.failed) * random.uniform(0.5, 1.0)
        self.failed += 1
        if time.monotonic() + wait > self._deadline:
            raise StoreUnreachable(
                f"{masked(self.where)}: the store does not answer ({_short(error)}); check that the server runs and "
                "AWS_ENDPOINT_URL, then run the same command to resume"
            ) from None
        return wait


def with_retries(call: Callable[[Attempts], T], where: str) -> T:
    """`call(attempts)` until it ends well or is refused for good; errors as `Attempts.wait_after`."""
    attempts = Attempts(where)
    while True:
        try:
            return call(attempts)
        except ParcError:
            raise
        except Exception as error:  # noqa: BLE001 (sorted by failure_kind; an unknown one is raised again)
            time.sleep(attempts.wait_after(error))


async def with_retries_async(call: Callable[[Attempts], Awaitable[T]], where: str) -> T:
    """`with_retries` for coroutines."""
    attempts = Attempts(where)
    while True:
        try:
            return await call(attempts)
        except ParcError:
            raise
        except Exception as error:  # noqa: BLE001 (as in with_retries)
            await asyncio.sleep(attempts.wait_after(error))


def failure_kind(error: BaseException) -> str:
    """What an error of fsspec, s3fs or the network means.

    Returns:
        "transient", "missing", "no bucket", "denied", "precondition", "refused" (by the server, or by the client or
        the system for another reason), or "unknown" (no error of a store at all).
    """
    code, status = _answer(error)
    if code is None and status is None:
        return _kind_of_type(error)
    if status is not None and status >= 500:
        return "transient"
    return _CODES.get(code or "") or _STATUS.get(status or 0, "refused")


def _kind_of_type(error: BaseException) -> str:
    names = {cls.__name__ for item in _chain(error) for cls in type(item).__mro__}
    if names & _NO_CREDENTIALS or isinstance(error, PermissionError):
        return "denied"
    if names & _CONNECTION:
        return "transient"
    if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
        return "missing"
    # What is left of the client's own errors: a bucket, profile, region or config file that it cannot use.
    return "refused" if isinstance(error, OSError) or "BotoCoreError" in names else "unknown"


def _answer(error: BaseException) -> Tuple[Optional[str], Optional[int]]:
    """Error code and HTTP status of the server's answer, where there was one."""
    for item in _chain(error):
        response: Any = getattr(item, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return None if code is None else str(code), status
    return None, None


def _chain(error: BaseException) -> Iterator[BaseException]:
    item: Optional[BaseException] = error
    while item is not None:
        yield item
        item = item.__cause__


def _refusal(where: str, kind: str, error: Exception) -> ConfigError:
    fix = {
        "denied": "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the rights of this key",
        "no bucket": "there is no such bucket: make it, or correct the address",
    }.get(kind, "check the address, AWS_ENDPOINT_URL and AWS_DEFAULT_REGION")
    return ConfigError(f"{masked(where)}: the store refuses ({_short(error)}); {fix}")


def _short(error: BaseException) -> str:
    code, _ = _answer(error)
    text = masked(" ".join(str(error).split()))[:160] or type(error).__name__
    return text if code is None or code in text else f"{code}: {text}"
