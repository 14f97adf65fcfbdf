"""Motion folders by pattern: `*` for any folder name, on disk and in object storage."""

from __future__ import annotations

import glob
import os
from typing import List, Sequence

from parc_core.config.paths import resolve
from parc_core.errors import ConfigError
from parc_core.storage.addresses import local_root, without_empty_parts

_WILD = "*?["


def expand_folders(folders: Sequence[str]) -> List[str]:
    """The folders that some paths and URLs mean, in their order, those of one pattern sorted; each counts once.

    Args:
        folders: paths or fsspec URLs; those without `*`, `?` or `[` are taken as they are, there or not.

    Raises:
        ConfigError: a pattern that no folder matches.
    """
    found: List[str] = []
    for folder in (one if local_root(one) is not None else without_empty_parts(one) for one in folders):
        matches = [folder] if not any(sign in folder for sign in _WILD) else _matches(folder)
        if not matches:
            raise ConfigError(f"motion folders '{folder}': no folder matches; correct the pattern")
        found += matches
    return list(dict.fromkeys(found))


def _matches(pattern: str) -> List[str]:
    if "://" not in pattern:
        return sorted(path for path in glob.glob(str(resolve(pattern))) if os.path.isdir(path))
    from fsspec.core import url_to_fs

    fs, path = url_to_fs(pattern, use_listings_cache=False, skip_instance_cache=True)
    found = fs.glob(path, detail=True)
    return sorted(fs.unstrip_protocol(name) for name, info in found.items() if info["type"] == "directory")
