"""`recordings:NAME` instead of a motion folder: what a registered model has recorded."""

from __future__ import annotations

from typing import Any, Dict, Optional

from parc_core.errors import ConfigError, DataError
from parc_core.registry.models import list_versions, resolve_model
from parc_core.registry.names import parse_name
from parc_core.storage.keys import checked
from parc_core.storage.store import Store

PREFIX = "recordings:"


def is_recordings(text: str) -> bool:
    """Whether this names the recordings of a registered model and not a folder."""
    return text.startswith(PREFIX)


def recordings_folder(text: str, store: Optional[Store] = None) -> Optional[str]:
    """The folder (or address) of motion classes that `recordings:NAME`, `recordings:NAME@3` or `@best` means.

    Returns:
        None where there is no model of that name yet, or it has recorded nothing: an iteration's first run.

    Raises:
        ConfigError: not written like that.
        DataError: there is such a name, but not that version.
    """
    store = store or Store()
    name, version = parse_name(text[len(PREFIX) :])
    if not name:
        raise ConfigError(f"'{text}': write {PREFIX}NAME, the name of a model of the registry")
    if not list_versions(store, name):
        return None
    try:
        manifest = resolve_model(store, name, version)
    except DataError:
        if version in ("latest", "best"):  # no model has passed its gate yet
            return None
        raise
    folder = _recorded(manifest)
    if folder is None:
        return None
    return str(store.root / checked(folder)) if store.root is not None else store.uri(folder)


def _recorded(manifest: Dict[str, Any]) -> Optional[str]:
    """Key of the folder of recordings in a manifest's lineage; None where nothing was recorded."""
    lineage = manifest.get("lineage")
    recording = lineage.get("recording") if isinstance(lineage, dict) else None
    if not isinstance(recording, dict) or not isinstance(recording.get("folder"), str):
        return None
    summary = recording.get("summary")
    count = summary.get("recorded") if isinstance(summary, dict) else 0
    return recording["folder"] if count else None
