"""Paths and YAML files as configs name them: `$DATA_DIR`, the home folder, relative to the project."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, Optional, Type

from parc_core.config.yaml_reader import parse_yaml, read_text, shown
from parc_core.errors import ConfigError, ParcError
from parc_core.system.files import PathLike

PROJECT_ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `parc_core`: a checkout, or the site-packages of an installed wheel."""

_SHIPPED = PROJECT_ROOT / "parc_core" / "shipped"
DATA_ROOT = _SHIPPED if _SHIPPED.is_dir() else PROJECT_ROOT
"""The folder that holds the project's `data`: the checkout; in a wheel, whose copy lies inside the package, that."""

USER_CONFIG = "user_config.yaml"
"""File (in the working folder or the project's) whose key `DATA_DIR` says where the data lie."""
_USER_CONFIGS = (USER_CONFIG, f"data/configs/{USER_CONFIG}")
"""Its places, the latter PARC's."""
_ALIAS, _MEANT = Path("data/configs/tracker_config"), Path("data/configs/parc_3_tracker")
"""A folder that PARC's configs for setting an iteration up name, and the one of its files."""

_MAX_NAME, _MAX_PATH = 255, 4095

_DATA_DIR = re.compile(r"\$DATA_DIR(?![A-Za-z0-9_])|\$\{DATA_DIR\}")


def data_dir() -> Optional[str]:
    """The user's data folder: environment variable `DATA_DIR`, else `user_config.yaml`, else None."""
    from_environment = os.environ.get("DATA_DIR", "")
    if from_environment:
        return os.path.expanduser(from_environment)
    places = (folder / name for folder in (Path.cwd(), PROJECT_ROOT) for name in _USER_CONFIGS)
    for path in places:
        if not path.is_file():
            continue
        value = read_mapping(path).get("DATA_DIR")
        if value is None:
            continue
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{path}: 'DATA_DIR' must be the path of a folder, but is {shown(value)}")
        # A relative folder in the file means relative to the file, wherever the command is run.
        return str((path.parent / os.path.expanduser(value)).absolute())
    return None


def expand(text: str) -> str:
    """Replace `$DATA_DIR` and a leading `~`.

    Raises:
        ConfigError: the text holds `$DATA_DIR` and it is set nowhere.
    """
    if _DATA_DIR.search(text):
        folder = data_dir()
        if folder is None:
            raise ConfigError(
                f"'{shown(text)}': DATA_DIR is not set; set the environment variable DATA_DIR to your data folder,"
                f" or write 'DATA_DIR: /your/folder' into {USER_CONFIG}"
            )
        text = _DATA_DIR.sub(lambda _: folder or "", text)
    return os.path.expanduser(text) if text.startswith("~") else text


def checked_path(text: str, error: Type[ParcError] = ConfigError) -> str:
    """The text, where a file can have this path: systems raise their own errors for others at the first look.

    Raises:
        ParcError: `error`: too long, or it holds a NUL or half a character.
    """
    problem = ""
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        problem = "holds characters that are not Unicode text"
    else:
        if b"\0" in encoded:
            problem = "holds a NUL"
        elif len(encoded) > _MAX_PATH or any(len(name) > _MAX_NAME for name in encoded.split(b"/")):
            problem = f"is too long (names have at most {_MAX_NAME} bytes, paths {_MAX_PATH})"
    if problem:
        raise error(f"'{shown(text)}' names no file: it {problem}")
    return text


def resolve(path: PathLike) -> Path:
    """The absolute path of what a config names: absolute, relative to the working folder, or to the project.

    The project's file is taken only where the working folder has none; a path that exists nowhere (an output
    yet to be written) counts as relative to the working folder.

    Raises:
        ConfigError: no file can have such a name; see also `expand`.
    """
    expanded = Path(expand(checked_path(os.fspath(path))))
    if expanded.is_absolute():
        return expanded
    here = Path.cwd() / expanded
    if here.exists():
        return here
    shipped = (DATA_ROOT / name for name in (expanded, _unaliased(expanded)))
    return next((path for path in shipped if path.exists()), here)


def _unaliased(path: Path) -> Path:
    """A path below PARC's other name of the folder of the tracker's configs, in that folder."""
    return _MEANT / path.relative_to(_ALIAS) if _ALIAS in path.parents else path


def load_yaml(path: PathLike) -> Dict[str, Any]:
    """Read a config file; `$DATA_DIR` is expanded in every string.

    Raises:
        ConfigError: missing or unreadable file, broken YAML (with its line), not a mapping, `DATA_DIR` unset.
    """
    resolved = resolve(path)
    data = read_mapping(resolved)
    try:
        return _expand_all(data)
    except ConfigError as error:
        raise ConfigError(f"{resolved}: {error}") from None


def existing_file(path: PathLike, key: str, where: str) -> Path:
    """The absolute path of a file that a config names, which has to be there.

    Raises:
        ConfigError: it is not; the message names the key and the config.
    """
    resolved = resolve(path)
    if resolved.is_dir():
        raise ConfigError(f"{where}: '{key}' names {resolved}, which is a folder; name a file in it")
    if not resolved.is_file():
        raise ConfigError(f"{where}: '{key}' names {resolved}, which does not exist; correct the path")
    return resolved


def read_mapping(path: Path) -> Dict[str, Any]:
    """Read a config file as it is written, `$DATA_DIR` and all.

    Raises:
        ConfigError: missing or unreadable file, broken YAML (with its line), not a mapping.
    """
    data = parse_yaml(read_text(path), str(path))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values, but is a {type(data).__name__}")
    return data


def _expand_all(value: Any) -> Any:
    if isinstance(value, str):
        return expand(value)
    if isinstance(value, list):
        return [_expand_all(item) for item in value]
    if isinstance(value, dict):
        return {key: _expand_all(item) for key, item in value.items()}
    return value
