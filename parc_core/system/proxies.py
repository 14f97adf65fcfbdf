"""Proxies that the environment names (`http_proxy`, `ALL_PROXY`, …): what lies on this machine is asked directly."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from typing import List
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_KINDS = ("http_proxy", "https_proxy", "all_proxy")


def loopback_goes_direct() -> None:
    """Adds this machine to `no_proxy` and `NO_PROXY`, for this process and its children, where a proxy is set.

    Prefect's and S3's clients otherwise ask a proxy for servers that only this machine can see. Both spellings are
    set: Python's own reading prefers the lower case, other programs know one of them alone.
    """
    if not any(os.environ.get(name) for name in _variables()):
        return
    upper = os.environ.get("NO_PROXY", "")
    for name, there in (("no_proxy", os.environ.get("no_proxy", upper)), ("NO_PROXY", upper)):
        entries = [entry.strip() for entry in there.split(",") if entry.strip()]
        os.environ[name] = ",".join(dict.fromkeys([*entries, *LOOPBACK]))


def drop_unusable() -> List[str]:
    """Takes the proxies out of the environment that httpx, Prefect's client, has no support for.

    Merely finding one (SOCKS without the package `socksio`, an unknown protocol) it refuses to start, also for an
    address that `no_proxy` exempts.

    Returns:
        Names of the variables that were removed.
    """
    dropped = []
    for name in _variables():
        if not _is_usable(os.environ[name]):
            del os.environ[name]
            dropped.append(name)
    return dropped


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine itself."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _variables() -> List[str]:
    return [name for name in os.environ if name.lower() in _KINDS]


def _is_usable(proxy: str) -> bool:
    scheme, mark, _ = proxy.lower().partition("://")
    if not mark or scheme in ("http", "https"):
        return True
    return scheme in ("socks5", "socks5h") and importlib.util.find_spec("socksio") is not None
