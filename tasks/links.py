"""How to get from a page in the UI to a file: a link where a browser can follow it, else a command to copy."""

from __future__ import annotations

import os
import shlex
import socket
import urllib.error
import urllib.request
from urllib.parse import quote, unquote, urlsplit

from parc_core.errors import DataError
from parc_core.storage.redact import has_credentials, masked
from parc_core.storage.store import Ref, Store

VARIABLE = "PARC_STORE_URL"
"""Web address under which people who look at the Prefect server see the store's files."""
REQUEST_TIMEOUT = 2.0
"""Seconds for the question whether an address can be opened."""


def file_line(name: str, ref: Ref) -> str:
    """A line of Markdown that leads to a file.

    Where the store is served under a web address (`PARC_STORE_URL`), its files get links there; an object of a bucket
    that can be read without credentials a link to itself. Any other is named without a link: browsers follow none of
    `file://` from a web page, and whoever looks at it may sit elsewhere.
    """
    uri = ref["uri"]
    served = served_url(uri)
    if served is not None:
        return f"- [{name}]({served})"
    if uri.startswith("file:"):
        path = urllib.request.url2pathname(urlsplit(uri).path)
        return f"- {name}, on {socket.gethostname()}: `{path}`"
    url = public_url(uri)
    if url is not None:
        return f"- [{name}]({url})"
    return f"- {name}: `{masked(uri)}`"


def served_url(uri: str) -> str | None:
    """Where `PARC_STORE_URL` serves an object of the store; None without that, and for what lies elsewhere."""
    base = os.environ.get(VARIABLE, "")
    if urlsplit(base).scheme not in ("http", "https") or has_credentials(base):
        return None
    try:
        key = Store().key_of(uri)
    except DataError:  # a file of the user's own, outside of the store
        return None
    return f"{base.rstrip('/')}/{quote(unquote(key) if uri.startswith('file:') else key)}"


def public_url(uri: str) -> str | None:
    """The web address of an object, if it can be opened without credentials from here; None otherwise.

    An object of `s3://` lies at `endpoint/bucket/key` (path style, as S3 servers and Amazon understand it). No signed
    address is made: it would be a credential on the server's pages.
    """
    if not uri.startswith("s3://"):
        return None
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        region = os.environ.get("AWS_DEFAULT_REGION")
        endpoint = f"https://s3.{region}.amazonaws.com" if region else "https://s3.amazonaws.com"
    if urlsplit(endpoint).scheme not in ("http", "https") or has_credentials(endpoint):
        return None
    url = f"{endpoint.rstrip('/')}/{quote(uri[len('s3://') :])}"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method="HEAD"), timeout=REQUEST_TIMEOUT
        ) as answer:
            return url if answer.status == 200 else None
    except (OSError, ValueError):  # refused, not there, not an address
        return None


def pull_command(name: str, version: int) -> str:
    """What fetches a registered model with all its files, on any machine that reaches the store."""
    store = Store()
    place = str(store.root) if store.root is not None else masked(store.url)
    return f"parc-tracker models pull {name}@{version} --to {name}-{version} --store {shlex.quote(place)}"
