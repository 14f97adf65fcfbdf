"""Another interpreter as trainer: whether it can train, asked before hours of work begin, and its import path.

It finds parc_core and nothing else of ours: its own torch and NumPy must not be hidden by those of this interpreter.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Optional

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError
from parc_core.supervisor.probe import MARKER

TIMEOUT_S = 300.0
"""Isaac Gym and torch from a network drive, for the first time, take a minute."""

_PACKAGE = PROJECT_ROOT / "parc_core"


def import_folder(python: str, folder: Path) -> Path:
    """What `python` has to have on its path to import parc_core.

    Args:
        python: path of the interpreter.
        folder: made to hold parc_core alone, where another interpreter would find more than that otherwise.

    Raises:
        OSError: it cannot be made.
    """
    # A checkout holds no third packages; the site-packages of an installed wheel do.
    if python == sys.executable or not _is_installed():
        return PROJECT_ROOT
    return _with_package_alone(folder)


def _is_installed() -> bool:
    return (_PACKAGE / "shipped").is_dir()


def _with_package_alone(folder: Path) -> Path:
    """The folder, with a link to parc_core in it, or a copy where links cannot be made."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / _PACKAGE.name
    if link.is_symlink() and link.resolve() == _PACKAGE.resolve():
        return folder
    if link.is_symlink():  # to an installation that has moved
        link.unlink()
    shutil.rmtree(link, ignore_errors=True)  # a copy may be of an earlier version
    try:
        link.symlink_to(_PACKAGE, target_is_directory=True)
    except OSError:
        shutil.copytree(_PACKAGE, link, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def check_trainer_python(python: str, engine: str, device: str, where: str, gpus: int = 1) -> str:
    """Let the interpreter import torch, the engine and parc_core, and look for the devices.

    Args:
        python: path of the interpreter.
        engine, device: as the tracker config has them.
        where: the config's name, for messages.
        gpus: how many are to train together, from the device on.

    Returns:
        Its version, such as "3.8.18".

    Raises:
        ConfigError: it cannot train; the line names what is missing and the command that fixes it.
    """
    script = str(Path(__file__).with_name("probe.py"))
    begin = f"{where}: 'trainer_python' names {python}, "
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [python, script, engine, device, str(import_folder(python, Path(folder))), str(gpus)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
    except OSError as error:
        raise ConfigError(f"{begin}which cannot be started ({error.strerror}); correct the path") from error
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{begin}which did not answer for {TIMEOUT_S:.0f} s; look what `{python} -c 'import torch'` does"
        ) from None
    answer = _answer(done.stdout.decode("utf-8", "replace"))
    if answer is None:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = f" ({' '.join(lines[-1].split())[:200]})" if lines else ""
        raise ConfigError(
            f"{begin}which ended with {done.returncode} when it was asked for its packages{said}; "
            "name a Python interpreter"
        )
    for what, fix in answer["problems"]:
        raise ConfigError(f"{begin}which cannot train: {what}" + (f"; run: {fix}" if fix else ""))
    return str(answer["python"])


def _answer(output: str) -> Optional[Dict[str, Any]]:
    """The probe's line among what packages print at import."""
    for line in reversed(output.splitlines()):
        if line.startswith(MARKER):
            return dict(json.loads(line[len(MARKER) :]))
    return None
