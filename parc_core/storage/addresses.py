"""Addresses of stores and motion folders: each has one way to be written, which listings and references rely on."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Optional

from parc_core.errors import ConfigError
from parc_core.storage.redact import has_credentials, masked

_MARK = "://"


def local_root(url: str) -> Optional[Path]:
    """The folder that a plain path or a file URL means, None for other URLs.

    Raises:
        ConfigError: a file URL of another machine, with a query or without a folder, or an S3 address without its
            slashes.
    """
    if url.startswith("file:"):
        from urllib.parse import urlparse
        from urllib.request import url2pathname

        parsed = urlparse(url)
        if parsed.netloc not in ("", "localhost") or not parsed.path or parsed.query or parsed.fragment:
            raise ConfigError(
                f"store '{masked(url)}': a file URL is written file:///folder (in a name, ? is %3F and # is %23)"
            )
        return _absolute(url2pathname(parsed.path))
    if _MARK in url:
        return None
    if url.startswith(("s3:", "s3a:")):  # would quietly become a folder of that name
        raise ConfigError("an S3 address is written s3://bucket/prefix, with two slashes")
    return _absolute(os.path.expanduser(url))


def _absolute(path: str) -> Path:
    # Two slashes at the beginning, and only there, pathlib keeps: the same folder would have two addresses.
    return Path(re.sub("^/+", "/", path)).absolute()


def normalized(url: str) -> str:
    """A remote address without empty parts: `s3://bucket//a/` is `s3://bucket/a`.

    Object stores take each slash at its word: what is written below `a//b` is in no listing of `a/b`.

    Raises:
        ConfigError: no address, or one with credentials, a query, a backslash, '.' or '..'.
    """
    shown = masked(url)
    if has_credentials(url):
        raise ConfigError(
            f"store '{shown}': credentials do not belong into the URL; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    parts = url.rpartition(_MARK)[2].split("/")
    if "?" in url or not any(parts):  # a query would be in every reference, signatures with it
        raise ConfigError(f"store '{shown}': an address is written like s3://bucket/prefix, without a query")
    if "\\" in url or not url.isprintable() or url != url.strip() or {".", ".."}.intersection(parts):
        raise ConfigError(
            f"store {shown!r}: an address is written like s3://bucket/prefix, without backslashes, '.' and '..'"
        )
    return without_empty_parts(url)


def without_empty_parts(url: str) -> str:
    """A remote address, or a pattern of some, with single slashes and none at its end."""
    protocol, mark, rest = url.rpartition(_MARK)
    root = "/" if rest.startswith("/") and not protocol.endswith(("s3", "s3a")) else ""
    return protocol + mark + root + "/".join(part for part in rest.split("/") if part)
