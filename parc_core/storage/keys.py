"""Names that cannot leave the folder they are meant for."""

from __future__ import annotations

from parc_core.errors import DataError


def is_safe(key: str) -> bool:
    """Whether `key` is a relative path with forward slashes, without '.', '..', empty parts and control characters."""
    if not key or "\\" in key or any(ord(letter) < 32 or ord(letter) == 127 for letter in key):
        return False
    return all(part not in ("", ".", "..") for part in key.split("/"))


def checked(key: str) -> str:
    """A key as it is, or an error: it must stay inside the store.

    Raises:
        DataError: see `is_safe`.
    """
    if not is_safe(key):
        raise DataError(f"store key {key!r}: must be a relative path with forward slashes, without '..'")
    return key


def is_hidden(key: str) -> bool:
    """Whether the last part starts with a dot: unfinished files and locks do."""
    return key.rpartition("/")[2].startswith(".")
