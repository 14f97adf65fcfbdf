"""`registry:NAME@latest` instead of a path, wherever a model is named."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

from parc_core.errors import ConfigError, DataError
from parc_core.registry.manifest import Manifest, check_name
from parc_core.registry.models import resolve_model
from parc_core.storage.references import local_path
from parc_core.storage.store import Store
from parc_core.system.files import content_sha256

PREFIX = "registry:"


def is_reference(text: str) -> bool:
    """Whether this names a model of the registry and not a file."""
    return text.startswith(PREFIX)


def parse_name(text: str) -> Tuple[str, str]:
    """`NAME`, `NAME@latest`, `NAME@3` into name and version or alias (latest where there is none).

    Raises:
        ConfigError: not written like that.
    """
    name, at, version = text.partition("@")
    if at and not version:
        raise ConfigError(
            f"'{text}': a version or alias is missing after '@'; write {name}@latest or {name}@3"
        )
    return check_name("model name", name), check_name("version", version or "latest")


def resolve_reference(text: str, store: Optional[Store] = None) -> Manifest:
    """The manifest of what `registry:NAME@latest`, `registry:NAME@3` or `registry:NAME@best` means now.

    Args:
        text: the reference.
        store: where to look; default `$PARC_STORE`.

    Raises:
        ConfigError: not written like that.
        DataError: as `registry.resolve_model`.
    """
    if not is_reference(text):
        raise ConfigError(f"'{text}': a model of the registry is written {PREFIX}NAME@latest")
    return resolve_model(store or Store(), *parse_name(text[len(PREFIX) :]))


MODEL_FILE = "model.pt"


def model_on_this_machine(reference: str) -> Path:
    """The file of a model of the registry (`registry:NAME@latest`), verified.

    Raises:
        ConfigError: not written like that.
        DataError: there is no such model, or it is damaged.
    """
    model = resolve_reference(reference)
    if MODEL_FILE not in model["files"]:
        raise DataError(f"{reference}: has no {MODEL_FILE}; register it again")
    ref = model["files"][MODEL_FILE]
    path = local_path(ref)
    if not path.is_file() or content_sha256(path) != ref["sha256"]:
        raise DataError(f"{path}: gone or damaged; register the model again or take another version")
    return path
