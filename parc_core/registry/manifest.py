"""What the registry writes about a model, checked before it is believed: whoever has the bucket's key can write it."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional

from parc_core.errors import ConfigError, DataError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
SHA256 = re.compile(r"[0-9a-f]{64}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")
"""A folder of another name holds no version, also where Python could make a number of it."""
OWN_FILES = ("manifest.json", "claim.json", "pending.json")
MAX_BYTES = 8 << 20
"""Of a manifest; ours have some ten kB."""
MAX_FILES = 200

Manifest = Dict[str, Any]


def check_name(what: str, name: str) -> str:
    """A name as it is.

    Raises:
        ConfigError: it is not made of letters, digits, '.', '_' and '-' alone.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"{what} '{name}': use letters, digits, '.', '_' and '-' alone")
    return name


def check_alias(alias: str) -> str:
    """An alias as it is.

    Raises:
        ConfigError: it cannot be used.
    """
    check_name("alias", alias)
    if alias.isdigit():
        raise ConfigError(f"alias '{alias}': a number would be taken for a version; use a word")
    return alias


def checked_alias(value: Any, where: str) -> int:
    """The version that the content of an alias file names.

    Raises:
        DataError: it is not an alias file.
    """
    version = value.get("version") if isinstance(value, dict) else None
    if isinstance(version, bool) or not isinstance(version, int) or not 0 < version < 10**9:
        raise DataError(
            f"{where}: refused, it names no version; set the alias again (parc-tracker models promote)"
        )
    ref = value.get("manifest")
    if not isinstance(ref, dict) or not _is_sha256(ref.get("sha256")):
        raise DataError(
            f"{where}: refused, it has no SHA-256; set the alias again (parc-tracker models promote)"
        )
    return version


def checked_manifest(value: Any, name: str, version: int, where: str) -> Manifest:
    """A manifest as it is, if it can be one of this version of this model.

    Raises:
        DataError: types, names, hashes or sizes are not what the registry writes.
    """
    reason = _fault(value, name, version)
    if reason is not None:
        raise DataError(f"{where}: refused, {reason}; this is not a manifest that the registry wrote")
    return dict(value)


def _fault(value: Any, name: str, version: int) -> Optional[str]:
    if not isinstance(value, dict):
        return "it is no JSON object"
    if value.get("name") != name or value.get("version") != version or isinstance(value["version"], bool):
        return f"it says that it is '{str(value.get('name'))[:80]}' version {str(value.get('version'))[:20]}"
    if not isinstance(value.get("created"), str):
        return "'created' is missing"
    for part in ("lineage", "metrics", "gate", "machine"):
        if value.get(part) is not None and not isinstance(value[part], dict):
            return f"'{part}' is not an object"
    return _fault_of_values(value) or _fault_of_files(value.get("files"), value.get("sizes", {}))


def _fault_of_values(value: Manifest) -> Optional[str]:
    if not isinstance((value.get("gate") or {}).get("failed") or [], list):
        return "the gate's failures are no list"
    return None if _has_plain_numbers(value) else "it holds a number that is not finite, or far too large"


def _fault_of_files(files: Any, sizes: Any) -> Optional[str]:
    if not isinstance(files, dict) or not isinstance(sizes, dict) or len(files) > MAX_FILES:
        return "its list of files is none"
    for file, ref in files.items():
        if not NAME.fullmatch(file) or file in OWN_FILES:
            return f"file name {file[:80]!r} could leave the folder"
        if not isinstance(ref, dict) or not _is_sha256(ref.get("sha256")):
            return f"file {file!r} has no SHA-256"
        size = sizes.get(file, 0)
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            return f"file {file!r} has no size"
    return None


def _has_plain_numbers(value: Any) -> bool:
    """Whether each number, at any depth, is one of a usual size: Python's reader takes NaN and any digits, too."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)
        elif isinstance(item, (int, float)) and not abs(item) < 2.0**63:
            return False
    return True


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and SHA256.fullmatch(value) is not None
