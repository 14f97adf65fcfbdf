"""What is known of a version beside its manifest: who took the number, the manifest's digest, what is not done yet."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from parc_core.registry.aliases import aliased_digests
from parc_core.registry.manifest import NAME, SHA256, VERSION
from parc_core.storage.store import Store
from parc_core.system import json_text
from parc_core.system.files import dump_json

PENDING = "pending.json"


@dataclass(frozen=True)
class Claim:
    """What claim.json says; versions of earlier releases have nothing but the first."""

    by: str
    """Tells own claims from others' after a lost answer."""
    sha256: str = ""
    """Of the manifest."""
    aliases: Tuple[str, ...] = ()
    """That the version was registered for."""


def claim_version(store: Store, name: str) -> Tuple[int, Claim]:
    """Takes the next number of a model: of two callers each gets one of its own."""
    parts = [key.split("/") for key in store.list(f"models/{name}")]
    version = max((int(part[2]) for part in parts if VERSION.fullmatch(part[2])), default=0) + 1
    claim = Claim(uuid.uuid4().hex)
    while not store.create(_key(name, version), dump_json({"by": claim.by}).encode()):
        version += 1
    return version, claim


def note_manifest(
    store: Store, name: str, version: int, by: str, sha256: str, aliases: Sequence[str]
) -> None:
    """Notes what the manifest will be, and that its aliases are pending until `settle`."""
    content: Dict[str, Any] = {"by": by, "manifest": {"sha256": sha256}, "aliases": list(aliases)}
    store.put_json(content, _key(name, version))
    store.put_json({"aliases": list(aliases)}, f"models/{name}/{version}/{PENDING}")


def settle(store: Store, name: str, version: int) -> None:
    """The aliases of a version are set."""
    store.delete(f"models/{name}/{version}/{PENDING}")


def pending_versions(store: Store, name: str) -> List[int]:
    """Versions whose aliases were not set yet, or not all, ascending."""
    parts = [key.split("/") for key in store.list(f"models/{name}")]
    return sorted(int(p[2]) for p in parts if len(p) == 4 and p[3] == PENDING and VERSION.fullmatch(p[2]))


def read_claim(store: Store, name: str, version: int) -> Optional[Claim]:
    """What claim.json says; None where it is damaged or absent."""
    found = store.read_versioned(_key(name, version))
    try:
        value = json_text.parse(found[0]) if found is not None else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("by"), str):
        return None
    manifest, aliases = value.get("manifest"), value.get("aliases")
    sha256 = manifest.get("sha256") if isinstance(manifest, dict) else None
    known = isinstance(sha256, str) and SHA256.fullmatch(sha256) is not None
    words = [word for word in aliases if isinstance(word, str)] if isinstance(aliases, list) else []
    return Claim(value["by"], str(sha256) if known else "", tuple(filter(NAME.fullmatch, words)))


def known_digest(store: Store, name: str, version: int) -> Optional[str]:
    """SHA-256 that the manifest of a version must have, by its claim, else by an alias that means it.

    None where nothing says it: versions of earlier releases that no alias means.
    """
    claim = read_claim(store, name, version)
    if claim is not None and claim.sha256:
        return claim.sha256
    return aliased_digests(store, name).get(version)


def _key(name: str, version: int) -> str:
    return f"models/{name}/{version}/claim.json"
