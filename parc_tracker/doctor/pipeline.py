"""What a run of the pipeline finds: Prefect and its server, the store, the folder of data."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import uuid
from pathlib import Path

from parc_core.config.paths import USER_CONFIG, data_dir
from parc_core.errors import ConfigError, ParcError
from parc_core.storage.addresses import local_root
from parc_core.storage.store import DEFAULT_URL, Store
from parc_core.system.extras import install_extra
from parc_core.system.proxies import drop_unusable
from parc_tracker.configured_server import check_server
from parc_tracker.doctor.check import Check, import_or_none


def check_prefect() -> Check:
    """Prefect, which runs the flow, its settings, and the server that they name."""
    try:
        if importlib.util.find_spec("prefect") is not None:
            check_server(drop_unusable())
    except ParcError as error:
        return Check(
            "Prefect", False, str(error), "correct the PREFECT_… variables; `run` and `deploy` need it"
        )
    prefect = import_or_none("prefect")
    if prefect is None:
        return Check("Prefect", False, "not installed", install_extra("pipeline"))
    return Check("Prefect", True, prefect.__version__)


def check_store() -> Check:
    """The folder or URL of `PARC_STORE`: something small is written to it, for a test."""
    url = os.environ.get("PARC_STORE") or DEFAULT_URL
    try:
        path = local_root(url)
    except ConfigError as error:
        return Check("store", False, str(error), "correct PARC_STORE")
    if path is None:
        return _check_remote_store(url)
    folder = existing_parent(path)
    try:
        with tempfile.TemporaryFile(dir=str(folder)) as file:
            file.write(b"parc")
    except OSError as error:
        return Check(
            "store",
            False,
            f"{path}: {error.strerror}",
            "set PARC_STORE to a folder that can be written, or a URL",
        )
    return Check("store", True, f"{path}, writable")


def _check_remote_store(url: str) -> Check:
    from parc_core.storage.retry import TIMEOUT_VARIABLES

    given = any(os.environ.get(name) for name in TIMEOUT_VARIABLES)
    if not given:
        os.environ[TIMEOUT_VARIABLES[0]] = "5"  # keep the doctor responsive: short retry timeout
    try:
        store = Store(url)
        probe = f".probe-{uuid.uuid4().hex}"
        store.put_bytes(b"parc", probe)
        store.delete(probe)
        sure = "" if store.conditional else ", without conditional writes: only one writer at a time is safe"
        return Check("store", True, f"{store.url}, writable{sure}")
    except ParcError as error:
        return Check("store", False, str(error), "correct PARC_STORE or the AWS_… variables")
    finally:
        if not given:
            del os.environ[TIMEOUT_VARIABLES[0]]


def existing_parent(path: Path) -> Path:
    """The nearest folder above (or at) `path` that is there."""
    while not os.path.exists(str(path)):
        path = path.parent
    return path if path.is_dir() else path.parent


def check_data_dir() -> Check:
    """The folder that `$DATA_DIR` in configs means."""
    fix = f"set the environment variable DATA_DIR, or write 'DATA_DIR: /your/folder' into {USER_CONFIG}"
    try:
        folder = data_dir()
    except ParcError as error:
        return Check("DATA_DIR", False, str(error), f"correct {USER_CONFIG}", needed=False)
    if folder is None:
        return Check("DATA_DIR", False, "not set (configs with $DATA_DIR need it)", fix, needed=False)
    if not Path(folder).is_dir():
        return Check("DATA_DIR", False, f"{folder} is not a directory", fix, needed=False)
    return Check("DATA_DIR", True, folder, needed=False)
