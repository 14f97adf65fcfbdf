"""Credentials: where they come from, and how they are taken out of what is shown."""

from __future__ import annotations

import os
import re
from typing import Callable, List

HIDDEN = "***"

credential_sources: List[Callable[[], None]] = []
"""Called before an S3 store is opened; `tasks` adds one that puts a Prefect block's values into the environment."""

_SECRET_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_SHORTEST = 4  # characters; shorter values would blot out half of any text

# A password may hold '/' and '@', so user:password goes to the last '@'; what follows a port is not a password.
_USERINFO = re.compile(r"://(?:[^\s/@:]*:(?!\d+(?:[/?\s]|$))\S*|[^\s/@]+)@")
_QUERY = re.compile(r"(://[^\s?'\"]+)\?[^\s'\"]+")
_NAMED = re.compile(
    r"(?i)\b([\w-]*(?:secret|password|passwd|token|access[_-]?key(?:[_-]?id)?|signature|credential|api[_-]?key))"
    r"(['\"]?\s*[=:]\s*['\"]?)[^\s'\",;&)}\]]+"
)
_AMAZON_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")


def has_credentials(url: str) -> bool:
    """Whether a URL holds a user part."""
    return _USERINFO.search(url) is not None


def masked(text: str) -> str:
    """`text` without credentials: user part and query of URLs, `secret=…`, access keys, values of AWS variables."""
    for name in _SECRET_VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    text = _USERINFO.sub(f"://{HIDDEN}@", text)
    text = _QUERY.sub(rf"\1?{HIDDEN}", text)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    return _AMAZON_KEY.sub(HIDDEN, text)
